/** Rows by table, counted in the INSERT statements that mysqldump writes. */
export class CountedRows {
  readonly rows: Record<string, number> = {}

  look(statement: Buffer): void {
    const head = statement.subarray(0, HEAD_BYTES).toString('utf8')
    const made = /^\s*CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)` \(/.exec(head)
    if (made) this.rows[unquoted(made[1])] ??= 0
    const filled = /^\s*INSERT INTO `((?:[^`]|``)+)`\s+(\(?)/.exec(head)
    if (!filled) return
    const name = unquoted(filled[1])
    this.rows[name] = (this.rows[name] ?? 0) + groups(statement) - (filled[2] === '(' ? 1 : 0)
  }
}

/** A name has 64 characters at most, each four bytes or a doubled quote. */
const HEAD_BYTES = 600

const unquoted = (name = '') => name.replaceAll('``', '`')

const [OPEN, CLOSE, QUOTE, ESCAPE, TICK] = [40, 41, 39, 92, 96]

/** How many pairs of brackets stand in none. Values are numbers, NULL, hexadecimal, and strings in single quotes. */
function groups(statement: Buffer): number {
  let count = 0
  let depth = 0
  let inside = 0
  for (let at = 0; at < statement.length; at += 1) {
    const byte = statement[at]
    if (inside !== 0) {
      if (byte === ESCAPE && inside === QUOTE) at += 1
      else if (byte === inside) inside = 0
    } else if (byte === QUOTE || byte === TICK) inside = byte
    else if (byte === OPEN) {
      if (depth === 0) count += 1
      depth += 1
    } else if (byte === CLOSE) depth -= 1
  }
  return count
}
