import type { Credentials, Look, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { fingerprintOf } from './fingerprint.js'
import { LEDGER } from './ledger.js'

/** The system's tables that a fingerprint is made of. */
const catalogs = [
  'pg_class',
  'pg_attribute',
  'pg_attrdef',
  'pg_constraint',
  'pg_index',
  'pg_inherits',
  'pg_partitioned_table',
  'pg_proc',
  'pg_aggregate',
  'pg_trigger',
  'pg_type',
  'pg_range',
  'pg_enum',
  'pg_rewrite',
  'pg_policy',
  'pg_sequence',
  'pg_namespace',
  'pg_extension',
  'pg_statistic_ext'
]

/**
 * How many rows were ever written to them: no DDL leaves that as it was, and nothing else moves it but temporary tables.
 * 0.2 ms where a fingerprint takes 9 and reading these tables 2, for it opens none of them. A session that stays connected
 * reports what it did within ten seconds of being idle, so that a change is seen that much later at the worst. Null where
 * the server does not count.
 */
const STAMP = `(SELECT sum(pg_catalog.pg_stat_get_tuples_inserted(c) + pg_catalog.pg_stat_get_tuples_updated(c)
    + pg_catalog.pg_stat_get_tuples_deleted(c))::text
  FROM unnest(ARRAY[${catalogs.map(name => `'pg_catalog.${name}'::pg_catalog.regclass`).join(', ')}]) c
  WHERE pg_catalog.current_setting('track_counts') = 'on')`

/** Logs in as the owner, looks in one question, and takes a fingerprint only where the stamp is not the one that is known. */
export async function look(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  known: string | null
): Promise<Look> {
  const session = await connect(server, { database, as: owner, applicationName: 'saasctl/look' })
  try {
    const rows = await session.rows<{ name: string; stamp: string | null }>(
      `SELECT name::text, ${STAMP} AS stamp FROM ${LEDGER} ORDER BY run_on, id`
    )
    const stamp = rows[0]?.stamp ?? null
    const same = stamp !== null && stamp === known
    return { applied: rows.map(({ name }) => name), stamp, fingerprint: same ? null : await fingerprintOf(session) }
  } finally {
    session.leave()
  }
}
