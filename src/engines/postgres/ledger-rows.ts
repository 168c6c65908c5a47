/** What of the ledger stands in the rows that COPY writes of it, in the ledger's order. */
export function migrationsIn(rows: string[]): Array<{ name: string }> {
  return rows
    .map(row => {
      const [id = '', name = '', at = ''] = row.split('\t')
      return { id: Number(id), name: plain(name), at }
    })
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.id - b.id))
    .map(({ name }) => ({ name }))
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** COPY writes a backslash before itself, and before a letter for what would end a value or a line. */
const plain = (value: string): string => value.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter)
