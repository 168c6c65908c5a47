import type { Finding, ServerAccess } from '../engine.js'
import { ok, warning, wrong } from './findings.js'
import { ourForm } from './names.js'
import { id } from './quote.js'
import type { Session } from './session.js'

/** Who may connect to what, and over which wire. */
export async function checkDoors(session: Session, server: ServerAccess): Promise<Finding[]> {
  return [...(await publicDoors(session)), await wire(session, server), await hba(session)]
}

const OPEN_TO_PUBLIC = `
  SELECT d.datname::text AS name, d.datname ~ '^${ourForm}$' AS ours
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS x
  WHERE x.grantee = 0 AND x.privilege_type = 'CONNECT' AND d.datallowconn ORDER BY 1`

async function publicDoors(session: Session): Promise<Finding[]> {
  const open = await session.rows<{ name: string; ours: boolean }>(OPEN_TO_PUBLIC)
  if (open.length === 0) return [ok('doors.public', 'No database lets the public connect.')]
  return open.map(({ name, ours }) => {
    const keep = ours ? '' : ` GRANT CONNECT ON DATABASE ${id(name)} TO ${id(session.place.login)};`
    const fix = `REVOKE ALL ON DATABASE ${id(name)} FROM PUBLIC;${keep}`
    const message = `Every login of the server may connect to database "${name}", also those of tenants.`
    return ours ? wrong('doors.public', message, fix) : warning('doors.public', message, fix)
  })
}

async function wire(session: Session, { host, tls }: ServerAccess): Promise<Finding> {
  if (tls.mode === 'verify-full')
    return ok('wire.tls', 'The connection is encrypted and the server’s name was checked.')
  const [row] = await session.rows<{ ssl: string }>(`SELECT current_setting('ssl') AS ssl`)
  const state = row?.ssl === 'on' ? 'is on' : 'is off'
  return ok('wire.tls', `The connection to ${host} does not leave this machine; TLS ${state} on the server.`)
}

/** The second wall: it holds even after somebody granted CONNECT to the public again. */
async function hba(session: Session): Promise<Finding> {
  const login = id(session.place.login)
  const [may] = await session.rows<{ read: boolean }>(
    `SELECT has_table_privilege('pg_hba_file_rules', 'SELECT')
       AND has_function_privilege('pg_hba_file_rules()', 'EXECUTE') AS read`
  )
  if (!may?.read) {
    return warning(
      'doors.hba',
      'The control login may not read pg_hba.conf: whether tenants are kept to their own database there is not known.',
      `GRANT SELECT ON pg_catalog.pg_hba_file_rules TO ${login}; ` +
        `GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO ${login};`
    )
  }
  const rules = await session.rows<{ databases: string[]; users: string[]; method: string }>(
    `SELECT database AS databases, user_name AS users, auth_method AS method FROM pg_hba_file_rules WHERE error IS NULL`
  )
  const same = rules.some(({ databases }) => databases.includes('samerole'))
  const loose = rules.some(
    ({ databases, users, method }) => databases.includes('all') && users.includes('all') && method !== 'reject'
  )
  if (same && !loose) return ok('doors.hba', 'pg_hba.conf keeps each login to the database of its group.')
  return warning(
    'doors.hba',
    'pg_hba.conf lets logins of tenants knock at every database: only the grants keep them out.',
    `In pg_hba.conf, instead of lines for all databases: host ${session.place.database} ${login} 0.0.0.0/0 scram-sha-256; ` +
      'host samerole all 0.0.0.0/0 scram-sha-256; host all all 0.0.0.0/0 reject; then SELECT pg_reload_conf();'
  )
}
