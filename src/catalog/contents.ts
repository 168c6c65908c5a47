import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { SaasctlError } from '../errors.js'
import type { Queryable, Snapshot } from './catalog.js'

/** What a migration makes by itself, what only lives as long as a process, and what a trigger fills. */
const LEFT_OUT = ['pgmigrations', 'worker', 'unbound']

interface Table {
  name: string
  columns: string[]
}

/**
 * One part of a catalog on its way: a table begins, some of its rows in PostgreSQL's binary COPY form, a table ends with
 * how many rows it had, or the catalog ends.
 */
type Part = { table: Table } | { rows: Buffer } | { end: number } | { over: true }

/** The catalog's tables in an order in which no row comes before what it refers to. */
async function tablesOf(q: Queryable): Promise<Table[]> {
  const [tables, arrows] = await Promise.all([
    q.query<Table>(
      `select c.relname::text as name, array_agg(a.attname::text order by a.attnum) as columns
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       where c.relnamespace = 'saasctl'::regnamespace and c.relkind = 'r' and c.relname <> all($1) group by 1 order by 1`,
      [LEFT_OUT]
    ),
    q.query<{ from: string; to: string }>(
      `select f.relname::text as from, t.relname::text as to from pg_constraint k
       join pg_class f on f.oid = k.conrelid join pg_class t on t.oid = k.confrelid
       where k.contype = 'f' and f.relnamespace = 'saasctl'::regnamespace and f.oid <> t.oid`
    )
  ])
  const ordered: Table[] = []
  const placed = new Set<string>()
  while (ordered.length < tables.length) {
    const next = tables.filter(
      ({ name }) => !placed.has(name) && arrows.every(({ from, to }) => from !== name || placed.has(to))
    )
    if (next.length === 0) throw new SaasctlError('FAILED', 'Tables of the catalog refer to each other in a circle.')
    for (const table of next) placed.add(table.name)
    ordered.push(...next)
  }
  return ordered
}

/** Everything that is in the catalog at the snapshot's moment, with flat memory. */
export async function* catalogContents(snapshot: Snapshot): AsyncGenerator<Buffer> {
  for (const table of await tablesOf(snapshot)) {
    const from = `saasctl.${quoted(table.name)}`
    yield packed('T', Buffer.from(JSON.stringify(table)))
    for await (const rows of snapshot.copy(`select ${list(table)} from ${from}`)) yield packed('R', rows)
    const [count] = await snapshot.query<{ n: number }>(`select count(*)::int as n from ${from}`)
    yield packed('E', Buffer.from(String(count?.n ?? 0)))
  }
  yield packed('Z', Buffer.of())
}

/**
 * Puts what `catalogContents` gave in the place of what is in the catalog, in the open transaction of its owner. Anything
 * wrong with it is an error, and then the transaction must not be committed. Gives the rows of each table.
 */
export async function loadContents(client: pg.Client, content: AsyncIterable<Buffer>): Promise<Record<string, number>> {
  const { from } = await import('pg-copy-streams')
  const { rows: tables } = await client.query<{ name: string }>(
    `select format('saasctl.%I', relname) as name from pg_class
     where relnamespace = 'saasctl'::regnamespace and relkind = 'r' and relname <> 'pgmigrations'`
  )
  await client.query(`truncate ${tables.map(({ name }) => name).join(', ')}`)
  const counts: Record<string, number> = {}
  const parts = partsOf(content)
  for (;;) {
    const head = (await parts.next()).value
    if (head && 'over' in head) break
    if (!head || !('table' in head)) throw cut()
    const { table } = head
    let said = -1
    const rows = async function* () {
      for (;;) {
        const part = (await parts.next()).value
        if (part && 'rows' in part) yield part.rows
        else if (part && 'end' in part) {
          said = part.end
          return
        } else throw cut()
      }
    }
    const copy = client.query(from(`copy saasctl.${quoted(table.name)} (${list(table)}) from stdin (format binary)`))
    await pipeline(rows, copy)
    if (copy.rowCount !== said) throw cut()
    counts[table.name] = said
  }
  // The copying itself was no change of whose a database is.
  await client.query('delete from saasctl.unbound')
  return counts
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
const list = ({ columns }: Table) => columns.map(quoted).join(', ')

function packed(kind: 'T' | 'R' | 'E' | 'Z', body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(kind, 0, 'latin1')
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

async function* partsOf(content: AsyncIterable<Buffer>): AsyncGenerator<Part> {
  let held: Buffer = Buffer.of()
  for await (const chunk of content) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
      const size = 5 + held.readUInt32BE(1)
      yield part(held.toString('latin1', 0, 1), held.subarray(5, size))
      held = held.subarray(size)
    }
  }
  if (held.length > 0) throw cut()
}

function part(kind: string, body: Buffer): Part {
  if (kind === 'T') return { table: JSON.parse(body.toString('utf8')) as Table }
  if (kind === 'R') return { rows: body }
  if (kind === 'E') return { end: Number(body.toString('utf8')) }
  if (kind === 'Z') return { over: true }
  throw cut()
}

function cut(): SaasctlError {
  return new SaasctlError('BACKUP_DAMAGED', 'The backup of the catalog does not hold what its own counts say.', {
    hint: 'Nothing was restored. Use another one: saasctl catalog backups'
  })
}
