import type { DatabaseParts } from '../databases/work.js'
import type { AppliedMigration } from '../engines/engine.js'
import type { Snapshot } from '../engines/snapshot.js'
import { SaasctlError } from '../errors.js'

/** A schema has the rows' moment itself, or was found to be the same before that moment and after it was read. */
export type SchemaProof = 'snapshot' | 'unchanged'

export interface SchemaAtMoment {
  sql: string
  migrations: AppliedMigration[]
  proof: SchemaProof
}

/** What the schema is before the rows' moment; null where DDL is of a transaction too, and the moment has a schema of its own. */
export async function schemaBefore(parts: DatabaseParts): Promise<string | null> {
  return parts.server.facts.capabilities?.transactionalDdl === true ? null : fingerprintNow(parts)
}

/** Schema and migrations at the snapshot's moment. SERVER_BUSY, to be tried again, when somebody changed them meanwhile. */
export async function schemaAt(
  parts: DatabaseParts,
  { handle }: Pick<Snapshot, 'handle'>,
  before: string | null,
  signal: AbortSignal
): Promise<SchemaAtMoment> {
  const { engine, access, names, tools } = parts
  const owner = await parts.logins.credentials('owner')
  const sql = await engine.schemaSql(access, names.database, owner, { signal, path: tools.path, handle })
  const migrations = await engine.appliedMigrations(access, names.database, owner)
  if (before === null) return { sql, migrations, proof: 'snapshot' }
  if ((await fingerprintNow(parts)) === before) return { sql, migrations, proof: 'unchanged' }
  throw new SaasctlError(
    'SERVER_BUSY',
    `The schema of database "${names.database}" was changed while it was exported.`,
    {
      hint: 'Try again when no migration is under way.',
      retryable: true
    }
  )
}

async function fingerprintNow({ engine, access, names, logins }: DatabaseParts): Promise<string> {
  return (await engine.describe(access, names.database, await logins.credentials('owner'))).fingerprint
}
