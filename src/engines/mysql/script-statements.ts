/** Bytes that mean something to whoever splits a script. */
const B = {
  line: 10,
  hash: 35,
  quote: 34,
  single: 39,
  star: 42,
  dash: 45,
  slash: 47,
  end: 59,
  escape: 92,
  tick: 96,
  bang: 33,
  M: 77
}
const BLANKS = [9, 10, 13, 32]

/**
 * Splits what mysqldump writes into its statements, as bytes and as they come. Knows its quotes, comments, and DELIMITER
 * lines; what stands in a comment with a version is code.
 */
export class ScriptStatements {
  #held: Buffer = Buffer.alloc(0)
  /** What follows what is held, in the same memory, and is free. */
  #room = 0
  #at = 0
  /** The quote that is open, a comment's first byte, or 0. */
  #inside = 0
  #doubled = false

  /** The statements that this piece completes, without what ends them. */
  push(chunk: Buffer): Buffer[] {
    return this.take(chunk).map(({ sql }) => sql)
  }

  /** The same, each with what ended it. */
  take(chunk: Buffer): Array<{ sql: Buffer; mark: ';' | ';;' }> {
    this.#append(chunk)
    const found: Array<{ sql: Buffer; mark: ';' | ';;' }> = []
    for (let end = this.#next(); end >= 0; end = this.#next()) {
      const sql = this.#held.subarray(0, end)
      const mark = this.#doubled ? ';;' : ';'
      this.#cut(end + mark.length)
      if (!isBlank(sql)) found.push({ sql, mark })
    }
    return found
  }

  /** The last statements, and whether there is a piece of one that never ended. */
  end(): { statements: Buffer[]; cut: boolean } {
    const statements = this.push(Buffer.from('\n\n'))
    return { statements, cut: bare(this.#held.toString('utf8')) !== '' }
  }

  /** One row may be a gigabyte: memory doubles, so that no byte is copied more than twice. What was given out stays as it is. */
  #append(chunk: Buffer): void {
    const { length } = this.#held
    if (this.#room < chunk.length) {
      const memory = Buffer.allocUnsafe(Math.max((length + chunk.length) * 2, 128 * 1024))
      this.#held.copy(memory)
      this.#held = memory
      this.#room = memory.length - length
    }
    const whole = Buffer.from(this.#held.buffer, this.#held.byteOffset, length + chunk.length)
    chunk.copy(whole, length)
    this.#held = whole
    this.#room -= chunk.length
  }

  #cut(from: number): void {
    this.#held = this.#held.subarray(from)
    this.#at = 0
  }

  /** Where the statement at the beginning ends, or -1 when that has not come yet. */
  #next(): number {
    if (this.#at === 0 && !this.#delimiter()) return -1
    const held = this.#held
    // Two bytes ahead decide what a byte is; they are waited for.
    const last = held.length - 2
    let at = this.#at
    while (at < last) {
      const byte = held[at] as number
      if (this.#inside !== 0) {
        at += this.#within(byte, held, at)
        continue
      }
      if (byte === B.end && (!this.#doubled || held[at + 1] === B.end)) {
        this.#at = at
        return at
      }
      if (byte === B.single || byte === B.quote || byte === B.tick || byte === B.hash) this.#inside = byte
      else if (byte === B.dash && held[at + 1] === B.dash && (held[at + 2] as number) <= 32) this.#inside = B.hash
      else if (byte === B.slash && held[at + 1] === B.star && held[at + 2] !== B.bang && held[at + 2] !== B.M) {
        this.#inside = B.star
        at += 1
      }
      at += 1
    }
    this.#at = at
    return -1
  }

  /** How many bytes to go on inside of a quote or comment. */
  #within(byte: number, held: Buffer, at: number): number {
    if (this.#inside === B.hash) {
      if (byte === B.line) this.#inside = 0
      return 1
    }
    if (this.#inside === B.star) {
      if (byte !== B.star || held[at + 1] !== B.slash) return 1
      this.#inside = 0
      return 2
    }
    if (byte === B.escape && this.#inside !== B.tick) return 2
    if (byte === this.#inside) this.#inside = 0
    return 1
  }

  /** Heeds DELIMITER lines where a statement would begin. False when more must come to know. */
  #delimiter(): boolean {
    for (;;) {
      let start = 0
      while (start < this.#held.length && BLANKS.includes(this.#held[start] as number)) start += 1
      const line = this.#held.subarray(start, start + 12).toString('latin1')
      if (line.length < 12 && 'DELIMITER ;;'.startsWith(line)) return false
      const set = /^DELIMITER (;;?)(?:\r?\n|$)/.exec(this.#held.subarray(start, start + 14).toString('latin1'))
      if (!set) return true
      this.#doubled = set[1] === ';;'
      this.#cut(start + set[0].length)
    }
  }
}

/** What is left of a statement without the comments in front of it: of the last words of a dump, nothing. */
export const bare = (sql: string) => sql.replace(/^(?:\s*(?:--[^\n]*\n|#[^\n]*\n|\/\*(?!M?!)[\s\S]*?\*\/)|\s+)+/, '')

function isBlank(bytes: Buffer): boolean {
  return bytes.every(byte => BLANKS.includes(byte))
}
