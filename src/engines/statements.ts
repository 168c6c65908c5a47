/** One statement of a script, and the line on which it begins, counted from 1. */
export interface Statement {
  sql: string
  line: number
}

export interface Dialect {
  /** Whether a backslash escapes in every string: MySQL. In PostgreSQL only E'…' strings have escapes. */
  backslashes?: boolean
  /** Comments of MySQL: `#` begins one, `--` only before a blank, none nests, and one with `!` first is code. */
  flatComments?: boolean
  /** Whether `$$` and `$tag$` quote; they do unless this is false. */
  dollarQuotes?: boolean
}

/** What stands in the place of quoted text in a mask; comments become blanks. */
const QUOTED = '\u0001'

/**
 * Splits a script: a statement ends with `;` at the end of a line, outside of quotes and comments. Between a pair of
 * `-- statement` lines everything is one statement, for triggers and routines whose bodies have such lines themselves.
 */
export function splitStatements(sql: string, dialect: Dialect = {}): Statement[] {
  const masked = mask(sql, dialect)
  const cuts = markers(sql, masked).flatMap(({ start, end }) => [start, end])
  const statements: Statement[] = []
  let from = 0
  for (const [index, cut] of [...cuts, sql.length].entries()) {
    // Start and end of the markers take turns: after two cuts, the text up to the next one lies between a pair.
    if (index % 2 === 0) {
      const whole = index % 4 === 2
      const ends = whole ? [cut] : [...lineEnds(masked, from, cut), cut]
      for (const end of ends) {
        const statement = piece(sql, masked, from, end)
        if (statement) statements.push(statement)
        from = end
      }
    }
    from = cut
  }
  return statements
}

/**
 * The line of the n-th statement, counted from 0, as the server counts: each `;` outside of quotes ends one. Undefined
 * where only a parser could tell.
 */
export function lineOfNth(sql: string, n: number): number | undefined {
  const masked = mask(sql)
  if (/\bbegin\s+atomic\b/i.test(masked)) return undefined
  const starts = [...masked.matchAll(/(?:^|;)[\s;]*(?=[^\s;])/g)].map(({ index, 0: gap }) => index + gap.length)
  const start = starts[n]
  return start === undefined ? undefined : lineOf(sql, start)
}

/** The `-- statement` lines, as offsets. */
export function markers(sql: string, masked: string): Array<{ start: number; end: number }> {
  return [...sql.matchAll(/^[ \t]*--[ \t]*statement[ \t]*$/gim)]
    .map(({ index, 0: text }) => ({ start: index, end: index + text.length }))
    .filter(({ start, end }) => masked.slice(start, end).trim() === '')
}

/** The line of an offset, counted from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

function lineEnds(masked: string, from: number, to: number): number[] {
  return [...masked.slice(from, to).matchAll(/;[ \t]*(?=\r?\n|$)/g)].map(
    ({ index, 0: text }) => from + index + text.length
  )
}

function piece(sql: string, masked: string, from: number, to: number): Statement | undefined {
  const code = masked.slice(from, to)
  const lead = code.search(/[^\s;]/)
  if (lead < 0) return undefined
  return { sql: sql.slice(from + lead, to).trimEnd(), line: lineOf(sql, from + lead) }
}

/**
 * The script with the same length and lines, in which comments are blank and quoted text is made unreadable: what is
 * left can be searched with regular expressions.
 */
export function mask(sql: string, dialect: Dialect = {}): string {
  let out = ''
  let at = 0
  while (at < sql.length) {
    const [end, fill] = tokenAt(sql, at, dialect)
    const token = sql.slice(at, end)
    out += fill === undefined ? token : token.replace(/[^\n\r]/g, fill)
    at = end
  }
  return out
}

type Token = [end: number, fill: string | undefined]

/** Where the token that begins here ends, and what to fill it with; `undefined` leaves it as it is. */
function tokenAt(sql: string, at: number, dialect: Dialect): Token {
  return commentAt(sql, at, dialect) ?? quotedAt(sql, at, dialect) ?? [at + 1, undefined]
}

/** Code that hides in a comment is as unreadable as quoted text, and not blank. */
const EXECUTABLE = /\/\*M?!/y

function commentAt(sql: string, at: number, { flatComments = false }: Dialect): Token | undefined {
  const two = sql.slice(at, at + 2)
  if (flatComments ? two.startsWith('#') || /^--(?:\s|$)/.test(sql.slice(at, at + 3)) : two === '--') {
    return [until(sql, /\r?\n|$/g, at), ' ']
  }
  if (two !== '/*') return undefined
  if (!flatComments) return [endOfComment(sql, at), ' ']
  const end = sql.indexOf('*/', at + 2)
  EXECUTABLE.lastIndex = at
  return [end < 0 ? sql.length : end + 2, EXECUTABLE.test(sql) ? QUOTED : ' ']
}

function quotedAt(sql: string, at: number, { backslashes = false, dollarQuotes = true }: Dialect): Token | undefined {
  const quote = sql.charAt(at)
  if (quote === "'") {
    const escapes = backslashes || /(?:^|[^\w$])e$/i.test(sql.slice(Math.max(0, at - 2), at))
    return [past(sql, escapes ? /'(?:[^'\\]|''|\\.)*(?:'|$)/sy : /'(?:[^']|'')*(?:'|$)/y, at), QUOTED]
  }
  if (quote === '"') {
    return [past(sql, backslashes ? /"(?:[^"\\]|""|\\.)*(?:"|$)/sy : /"(?:[^"]|"")*(?:"|$)/y, at), QUOTED]
  }
  if (quote === '`') return [past(sql, /`(?:[^`]|``)*(?:`|$)/y, at), QUOTED]
  if (dollarQuotes && quote === '$' && !/[\w$]/.test(sql.charAt(at - 1))) {
    const tag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y
    tag.lastIndex = at
    const opening = tag.exec(sql)?.[0]
    if (opening) {
      const closing = sql.indexOf(opening, at + opening.length)
      return [closing < 0 ? sql.length : closing + opening.length, QUOTED]
    }
  }
  return undefined
}

function until(sql: string, pattern: RegExp, from: number): number {
  pattern.lastIndex = from
  return pattern.exec(sql)?.index ?? sql.length
}

function past(sql: string, pattern: RegExp, from: number): number {
  pattern.lastIndex = from
  return from + (pattern.exec(sql)?.[0].length ?? 1)
}

/** Block comments nest in PostgreSQL. */
function endOfComment(sql: string, from: number): number {
  const edge = /\/\*|\*\//g
  edge.lastIndex = from
  let depth = 0
  for (let found = edge.exec(sql); found; found = edge.exec(sql)) {
    depth += found[0] === '/*' ? 1 : -1
    if (depth === 0) return edge.lastIndex
  }
  return sql.length
}
