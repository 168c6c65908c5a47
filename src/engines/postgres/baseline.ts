import { SaasctlError } from '../../errors.js'
import type { AppliedMigration } from '../engine.js'
import { SCHEMA } from './furnish.js'
import { literal } from './quote.js'
import type { Session } from './session.js'

/** Where node-pg-migrate keeps its ledger unless it is told otherwise. */
const FOREIGN = 'public.pgmigrations'

/** Read as the database's owner, who may run what he likes there: it could be a view. */
export async function foreignLedger(session: Session): Promise<AppliedMigration[] | null> {
  const [there] = await session.rows<{ there: boolean }>(
    `SELECT pg_catalog.to_regclass('${FOREIGN}') IS NOT NULL AS there`
  )
  if (!there?.there) return null
  return await session.rows<AppliedMigration>(
    `SELECT name, run_on::pg_catalog.timestamptz AS at FROM ${FOREIGN} ORDER BY run_on, id`
  )
}

/** One transaction. The ledger that was there before goes: node-pg-migrate finds ours with --migrations-schema saasctl. */
export async function baseline(session: Session, applied: ReadonlyArray<{ name: string }>): Promise<void> {
  const [ours] = await session.rows<{ names: string[] }>(
    `SELECT ARRAY(SELECT name::text FROM ${SCHEMA}.pgmigrations ORDER BY run_on, id) AS names`
  )
  const names = applied.map(({ name }) => name)
  if ((ours?.names.length ?? 0) > 0 && ours?.names.join('\n') !== names.join('\n')) {
    throw new SaasctlError('MIGRATION_CHANGED', `The ledger of database "${session.place.database}" is not empty.`)
  }
  // A microsecond apart, for the order.
  const rows = names.map((name, index) => `(${literal(name)}, localtimestamp + interval '${index} microseconds')`)
  const insert =
    rows.length > 0 && ours?.names.length === 0
      ? `INSERT INTO ${SCHEMA}.pgmigrations (name, run_on) VALUES ${rows.join(', ')};`
      : ''
  await session.run(`BEGIN; ${insert} DROP TABLE IF EXISTS ${FOREIGN}; COMMIT`)
}
