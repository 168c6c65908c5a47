import { isUuid } from '../names.js'
import { asNumber, asText, asTime, binaryRows } from './binary-rows.js'
import type { Queryable, Snapshot } from './catalog.js'

/** An event as it is kept: columns to search by, and the text that was hashed. */
export interface TrailEvent {
  chain: string
  seq: number
  /** Milliseconds since 1970. */
  at: number
  action: string
  body: string
  hash: string
  /** Both null when what the event said was erased. */
  salt: Buffer | null
  payload: string | null
}

/** With what else claims to know the event: a checkpoint that ended here, and the chain's own head. */
export interface ClaimedEvent extends TrailEvent {
  signed: { number: number; hash: string } | null
  head: string | null
}

export interface ChainHead {
  chain: string
  seq: number
  hash: string
}

/** Every event, chain by chain in the order of bytes, many at a time. `chain` reads that one alone. */
export async function* trailOf(snapshot: Snapshot, chain?: string): AsyncIterable<ClaimedEvent[]> {
  // Walking the indexes side by side takes the same memory for a thousand events and for a billion.
  await snapshot.query('set local enable_hashjoin = off; set local enable_nestloop = off; set local enable_sort = off')
  const only = chain === undefined ? '' : `where e.chain = ${literal(chain)}`
  const sql = `select e.chain, e.seq, e.at, e.action, e.body, e.hash, p.salt, p.payload, h.number, h.hash, c.hash
    from saasctl.audit_event e
    left join saasctl.audit_payload p on p.chain = e.chain and p.seq = e.seq
    left join saasctl.audit_checkpoint_head h on h.chain = e.chain and h.seq = e.seq
    left join saasctl.audit_chain c on c.chain = e.chain and c.seq = e.seq
    ${only} order by e.chain, e.seq`
  for await (const rows of binaryRows(snapshot.copy(sql))) {
    yield rows.map(([name, seq, at, action, body, hash, salt, payload, number, signed, head]) => ({
      chain: asText(name),
      seq: asNumber(seq),
      at: asTime(at),
      action: asText(action),
      body: asText(body),
      hash: asText(hash),
      salt: salt ?? null,
      payload: payload ? asText(payload) : null,
      signed: number ? { number: asNumber(number), hash: asText(signed) } : null,
      head: head ? asText(head) : null
    }))
  }
}

/** Heads that name an event which is not there: of the chains themselves, and of checkpoints with their number. */
export async function lostHeads(
  q: Queryable,
  chain: string | undefined
): Promise<Array<ChainHead & { number: number | null }>> {
  return q.query(
    `select c.chain, c.seq::int, c.hash, null::int as number from saasctl.audit_chain c
     where c.seq > 0 and ($1::text is null or c.chain = $1)
       and not exists (select from saasctl.audit_event e where e.chain = c.chain and e.seq = c.seq)
     union all
     select h.chain, h.seq::int, h.hash, h.number::int from saasctl.audit_checkpoint_head h
     where ($1::text is null or h.chain = $1)
       and not exists (select from saasctl.audit_event e where e.chain = h.chain and e.seq = h.seq)
     order by chain, seq limit 1000`,
    [chain ?? null]
  )
}

/** The id of a tenant by its slug, or of one that ever was by its id; with an auditor's login, too. */
export async function tenantIdOf(q: Queryable, slugOrId: string): Promise<string | undefined> {
  const [row] = await q.query<{ id: string }>(
    isUuid(slugOrId)
      ? 'select id from saasctl.tenant where id = $1'
      : `select id from saasctl.tenant where slug = $1 and status not in ('purged', 'failed')`,
    [slugOrId]
  )
  return row?.id
}

/** How many checkpoints were made before the first that covers this event: what is wrong with it does not reach them. */
export async function checkpointsBefore(
  q: Queryable,
  { chain, seq }: Pick<ChainHead, 'chain' | 'seq'>
): Promise<number | null> {
  const [row] = await q.query<{ before: number | null }>(
    'select min(number)::int - 1 as before from saasctl.audit_checkpoint_head where chain = $1 and seq >= $2',
    [chain, seq]
  )
  return row?.before ?? null
}

export interface TrailFilter {
  chain?: string
  actor?: string
  /** Whole, or up to a dot: `tenant` finds `tenant.create`. */
  action?: string
  /** To what it happened, as `tenant:<id>`. */
  subject?: string
  since?: Date
  until?: Date
  /** Only events before this one, in time. */
  before?: Pick<ChainHead, 'chain' | 'seq'>
  limit: number
}

const columns = `e.chain, e.seq::int, (extract(epoch from e.at) * 1000)::float8 as at, e.action, e.body, e.hash, p.salt, p.payload`

/** A page, newest first. */
export async function listEvents(q: Queryable, filter: TrailFilter): Promise<TrailEvent[]> {
  return q.query<TrailEvent>(
    `select ${columns} from saasctl.audit_event e left join saasctl.audit_payload p using (chain, seq)
     where ($1::text is null or e.chain = $1)
       and ($2::text is null or e.body::jsonb #>> '{actor,name}' = $2)
       and ($3::text is null or e.action = $3 or starts_with(e.action, $3 || '.'))
       and ($4::timestamptz is null or e.at >= $4) and ($5::timestamptz is null or e.at < $5)
       and ($6::text is null or (e.at, e.chain, e.seq) <
         (select b.at, b.chain, b.seq from saasctl.audit_event b where b.chain = $6 and b.seq = $7))
       and ($9::text is null or e.body::jsonb ->> 'subject' = $9)
     order by e.at desc, e.chain desc, e.seq desc limit $8`,
    [
      filter.chain ?? null,
      filter.actor ?? null,
      filter.action ?? null,
      filter.since ?? null,
      filter.until ?? null,
      filter.before?.chain ?? null,
      filter.before?.seq ?? null,
      filter.limit,
      filter.subject ?? null
    ]
  )
}

export async function eventAt(q: Queryable, chain: string, seq: number): Promise<TrailEvent | undefined> {
  const [row] = await q.query<TrailEvent>(
    `select ${columns} from saasctl.audit_event e left join saasctl.audit_payload p using (chain, seq)
     where e.chain = $1 and e.seq = $2`,
    [chain, seq]
  )
  return row
}

/** COPY takes no parameters. */
function literal(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
