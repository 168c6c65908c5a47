import { SaasctlError } from '../../errors.js'
import { quoteInput } from '../../names.js'

/** A statement of a plain dump, or a COPY, whose rows are the lines that follow. */
export interface Piece {
  sql: string
  line: number
  copy: boolean
}

const COPY = /^\s*COPY\s[^;]*\sFROM\s+stdin\b[^;]*;\s*$/i

/** psql's own commands. These two keep others from being run; none is needed where no psql is. */
const HARMLESS = /^\\(?:un)?restrict\s+\S+\s*$/

/**
 * Cuts what pg_dump writes as text into statements, line by line. A psql command in it is refused by its name: such a file
 * does more than fill a database.
 */
export class PlainDump {
  #line = 0
  #start = 0
  #text: string[] = []
  /** What is open: a quote, a dollar quote's tag, or `/*` once for each comment around. */
  #open = ''

  /** The piece that this line completes. */
  take(line: string): Piece | undefined {
    this.#line += 1
    if (this.#open === '' && HARMLESS.test(line)) return undefined
    // Before a statement: the comments that pg_dump writes above each.
    if (this.#text.length === 0 && /^\s*(?:--|$)/.test(line)) return undefined
    if (this.#text.length === 0) this.#start = this.#line
    const ends = this.#scan(line)
    this.#text.push(line)
    if (!ends) return undefined
    const sql = this.#text.join('\n')
    this.#text = []
    return { sql, line: this.#start, copy: COPY.test(sql) }
  }

  /** What is left when the file is over; undefined when it is nothing but comments. */
  end(): Piece | undefined {
    const sql = this.#text.join('\n')
    return /^\s*(?:--.*\s*)*$/.test(sql) ? undefined : { sql, line: this.#start, copy: false }
  }

  /** A line of rows, which nothing is looked for in. */
  skip(): void {
    this.#line += 1
  }

  /** Whether the line ends a statement. */
  #scan(line: string): boolean {
    let last = ''
    for (let at = 0; at < line.length; ) {
      if (this.#open !== '') {
        at = this.#within(line, at)
        continue
      }
      const rest = line.slice(at)
      if (rest.startsWith('--')) break
      const opening = /^(?:\/\*|[eE]'|'|"|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)/.exec(rest)?.[0]
      const partOfName = opening !== undefined && /^[eE$]/.test(opening) && /[\w$]/.test(line.charAt(at - 1))
      if (opening !== undefined && !partOfName) {
        this.#open = opening
        at += opening.length
        last = opening
        continue
      }
      const character = line.charAt(at)
      if (character === '\\') throw this.#refused(/^\\\S*/.exec(rest)?.[0] ?? '\\')
      if (/\S/.test(character)) last = character
      at += 1
    }
    return this.#open === '' && last === ';'
  }

  /** Where the text goes on after what is open, or the line's end. */
  #within(line: string, at: number): number {
    if (this.#open.startsWith('/*')) {
      const edge = /\/\*|\*\//g
      edge.lastIndex = at
      const found = edge.exec(line)
      if (!found) return line.length
      this.#open = found[0] === '/*' ? `${this.#open}/*` : this.#open.slice(2)
      return edge.lastIndex
    }
    const escapes = /^e'$/i.test(this.#open)
    const quote = escapes ? "'" : this.#open
    for (let from = at; ; ) {
      const end = line.indexOf(quote, from)
      const backslash = escapes ? line.indexOf('\\', from) : -1
      if (backslash >= 0 && (end < 0 || backslash < end)) {
        from = backslash + 2
        continue
      }
      if (end < 0) return line.length
      if (quote.length === 1 && line.charAt(end + 1) === quote) {
        from = end + 2
        continue
      }
      this.#open = ''
      return end + quote.length
    }
  }

  #refused(command: string): SaasctlError {
    return new SaasctlError(
      'INVALID_INPUT',
      `The dump has the psql command ${quoteInput(command)} at line ${this.#line}.`,
      {
        hint: 'Nothing was made. Take a dump by pg_dump in its plain form, which has none.'
      }
    )
  }
}

/** What the new database has already, or has in its own way: owners, rights, schema public. And what older servers know not. */
const LEFT_OUT = [
  /^ALTER\s[^;]*\sOWNER TO\s[^;]*;$/is,
  /^(?:GRANT|REVOKE)\s[^;]*;$/is,
  /^ALTER DEFAULT PRIVILEGES\s[^;]*;$/is,
  /^CREATE SCHEMA public;$/i,
  /^COMMENT ON (?:SCHEMA public|EXTENSION)\s/i,
  /^SET transaction_timeout\b/i,
  /^(?:BEGIN|COMMIT|START TRANSACTION|END)\s*;$/i
]

export const isLeftOut = (sql: string): boolean => {
  const bare = sql.replace(/^(?:\s*--[^\n]*\n|\s+)+/, '').trim()
  return LEFT_OUT.some(pattern => pattern.test(bare))
}
