import { createHash } from 'node:crypto'
import { id } from './quote.js'
import { tablesOf } from './rows.js'
import type { Session } from './session.js'

/** A checksum over every row: neither flavour keeps a count of writes that survives and that an owner may read. */
export async function writesOf(session: Session): Promise<string> {
  const hash = createHash('sha256')
  for (const name of await tablesOf(session)) {
    const [row] = await session.rows<{ Checksum: number | string | null }>(`CHECKSUM TABLE ${id(name)} EXTENDED`)
    hash.update(`${JSON.stringify([name, row?.Checksum ?? null])}\n`)
  }
  return hash.digest('hex')
}
