import type { Difference, EngineName, SchemaFact } from '../engines/engine.js'
import type { Queryable } from './catalog.js'

/** Which files on which kind of server: what decides how a schema is printed. */
export interface ReferenceKey {
  engine: EngineName
  flavour: string
  major: number
  migrationsChecksum: string
}

/** What the template's files make, as a server of this major version prints it. */
export interface ReferenceRow extends ReferenceKey {
  fingerprint: string
  facts: SchemaFact[]
  readAt: Date
}

const columns = `engine, flavour, major, migrations_checksum as "migrationsChecksum", fingerprint, facts, read_at as "readAt"`

export async function findReference(q: Queryable, key: ReferenceKey): Promise<ReferenceRow | undefined> {
  const [row] = await q.query<ReferenceRow>(
    `select ${columns} from saasctl.schema_reference
     where engine = $1 and flavour = $2 and major = $3 and migrations_checksum = $4`,
    [key.engine, key.flavour, key.major, key.migrationsChecksum]
  )
  return row
}

export async function keepReference(q: Queryable, row: Omit<ReferenceRow, 'readAt'>): Promise<void> {
  await q.query(
    `insert into saasctl.schema_reference (engine, flavour, major, migrations_checksum, fingerprint, facts)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (engine, flavour, major, migrations_checksum)
     do update set fingerprint = excluded.fingerprint, facts = excluded.facts, read_at = now()`,
    [row.engine, row.flavour, row.major, row.migrationsChecksum, row.fingerprint, JSON.stringify(row.facts)]
  )
}

/** What was seen in a database when it was last compared with its template. */
export interface DriftRow {
  databaseId: string
  checkedAt: Date
  fingerprint: string
  differences: number
  /** The first of them. */
  sample: Difference[]
}

export async function keepDrift(q: Queryable, row: Omit<DriftRow, 'checkedAt'>): Promise<void> {
  await q.query(
    `insert into saasctl.drift (database_id, fingerprint, differences, sample) values ($1, $2, $3, $4)
     on conflict (database_id) do update set checked_at = now(), fingerprint = excluded.fingerprint,
       differences = excluded.differences, sample = excluded.sample`,
    [row.databaseId, row.fingerprint, row.differences, JSON.stringify(row.sample)]
  )
}
