import { type Dialect, lineOf, mask, splitStatements } from './statements.js'

/** One SQL command, readable by regular expressions: comments are blank, strings unreadable, quoted names bare. */
export interface Command {
  code: string
  line: number
}

/** The commands of a part of a file that begins on `firstLine`. Bodies of routines are not looked into. */
export function commandsOf(part: string, firstLine: number, dialect: Dialect = {}): Command[] {
  return splitStatements(part, dialect).flatMap(({ sql, line }) => {
    const code = readable(sql, dialect)
    const whole = /^create\s+(?:or\s+replace\s+)?(?:function|procedure|trigger|event)\b/i.test(code)
    return pieces(code, whole ? /$/ : /;/).map(({ text, at }) => ({
      code: text,
      line: firstLine + line + lineOf(sql, at) - 2
    }))
  })
}

/** The parts of a list that stand between commas outside of brackets. */
export function commaParts(code: string): Array<{ text: string; at: number }> {
  let depth = 0
  const flat = [...code].map(character => {
    if (character === '(' || character === '[') depth += 1
    if (character === ')' || character === ']') depth -= 1
    return character === ',' && depth > 0 ? ' ' : character
  })
  return pieces(code, /,/, flat.join(''))
}

/** Cuts `code` where `cut` is found in `seen`, a text of the same length. Each piece begins with its first letter. */
function pieces(code: string, cut: RegExp, seen = code): Array<{ text: string; at: number }> {
  const found: Array<{ text: string; at: number }> = []
  let from = 0
  for (const piece of seen.split(cut)) {
    const text = code.slice(from, from + piece.length)
    const lead = text.search(/\S/)
    if (lead >= 0) found.push({ text: text.slice(lead).trimEnd(), at: from + lead })
    from += piece.length + 1
  }
  return found
}

/** What `mask` leaves of quoted text. */
const MASKED = new RegExp(`${String.fromCharCode(1)}+`, 'g')

/** Same length and lines. A quoted name loses its quotes, and what is not a letter in it becomes `_`. */
function readable(sql: string, dialect: Dialect): string {
  // Where backslashes escape, double quotes are those of a string, and names stand in backticks.
  const quote = dialect.backslashes ? '`' : '"'
  return mask(sql, dialect).replace(MASKED, (run, at: number) => {
    const raw = sql.slice(at, at + run.length)
    return raw.startsWith(quote)
      ? raw
          .slice(1, -1)
          .replace(/[^\w\n\r]/g, '_')
          .padEnd(run.length, ' ')
      : run
  })
}
