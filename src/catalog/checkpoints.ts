import { asNumber, asText, binaryRows } from './binary-rows.js'
import type { Queryable, Snapshot, Transaction } from './catalog.js'
import type { ChainHead } from './trail.js'

/** All chains at one moment, signed. The body is canonical JSON: exactly the bytes that were signed. */
export interface CheckpointRow {
  number: number
  at: Date
  body: string
  signature: Buffer
  keyId: string
}

const columns = 'c.number::int, c.at, c.body, c.signature, c.key_id as "keyId"'

/** A checkpoint that is being made: one at a time in the whole catalog, until its transaction ends. */
export interface OpenCheckpoint {
  number: number
  at: Date
  /** SHA-256 of the body before, hex; null for the first. */
  prev: string | null
  /** How many heads moved since. */
  moved: number
}

/** Takes down where every chain ends now. */
export async function openCheckpoint(tx: Transaction): Promise<OpenCheckpoint> {
  const [row] = await tx.query<OpenCheckpoint>(
    'select number::int, at, prev, moved::int from saasctl.audit_checkpoint_open()'
  )
  if (!row) throw new Error('the function gives one row')
  return row
}

export async function keepCheckpoint(
  tx: Transaction,
  { number, at, body, signature, keyId }: CheckpointRow
): Promise<void> {
  await tx.query('select saasctl.audit_checkpoint_sign($1, $2, $3, $4, $5)', [number, at, body, signature, keyId])
}

/** Whether the newest is older than this, by the catalog's clock, and something was appended since. */
export async function isDue(q: Queryable, everySeconds: number): Promise<boolean> {
  const [row] = await q.query<{ due: boolean }>(
    `select coalesce(clock_timestamp() > newest + make_interval(secs => $1::float8), true)
       and exists (select from saasctl.audit_event e where newest is null or e.at > newest) as due
     from (select max(at) as newest from saasctl.audit_checkpoint) c`,
    [everySeconds]
  )
  return row?.due === true
}

/** The newest, or the one of this number. */
export async function findCheckpoint(q: Queryable, number?: number): Promise<CheckpointRow | undefined> {
  const [row] = await q.query<CheckpointRow>(
    `select ${columns} from saasctl.audit_checkpoint c where $1::bigint is null or c.number = $1 order by c.number desc limit 1`,
    [number ?? null]
  )
  return row
}

/** A page in the order of their numbers. */
export async function listCheckpoints(
  q: Queryable,
  { after, limit }: { after: number; limit: number }
): Promise<CheckpointRow[]> {
  return q.query<CheckpointRow>(
    `select ${columns} from saasctl.audit_checkpoint c where c.number > $1 order by c.number limit $2`,
    [after, limit]
  )
}

const heads = (number: number) => `select distinct on (h.chain) h.chain, h.seq, h.hash
  from saasctl.audit_checkpoint_head h where h.number <= ${Math.trunc(number)} order by h.chain, h.seq desc`

/** Where each chain ended at the checkpoint, in the order of bytes. */
export async function* headsAt(snapshot: Snapshot, number: number): AsyncIterable<ChainHead[]> {
  for await (const rows of binaryRows(snapshot.copy(heads(number))))
    yield rows.map(([chain, seq, hash]) => ({ chain: asText(chain), seq: asNumber(seq), hash: asText(hash) }))
}

/** The same within the transaction that makes the checkpoint, a page at a time. */
export async function* headsWithin(tx: Transaction, number: number): AsyncIterable<ChainHead[]> {
  const name = `heads_${Math.trunc(number)}`
  await tx.query(`declare ${name} no scroll cursor for ${heads(number)}`)
  for (;;) {
    const rows = await tx.query<ChainHead & { seq: string | number }>(`fetch 5000 from ${name}`)
    if (rows.length === 0) break
    yield rows.map(row => ({ ...row, seq: Number(row.seq) }))
  }
  await tx.query(`close ${name}`)
}
