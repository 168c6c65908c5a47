import pg from 'pg'
import { type Credentials, type DatabaseLimits, loginRoles } from '../../src/engines/engine.js'
import { handOver, rolePairs } from '../../src/engines/postgres/hand-over.js'
import { namesOf } from '../../src/engines/postgres/names.js'
import { uuidv7 } from '../../src/names.js'
import { scramVerifier } from '../../src/scram.js'
import type { Secret } from '../../src/secret.js'
import { randomPassword } from '../../src/secrets/passwords.js'
import { type BenchPlane, session } from './plane.js'

const id = pg.escapeIdentifier
const literal = pg.escapeLiteral

/** The sessions that the script keeps open from one tenant to the next. */
export interface Hands {
  control: pg.Client
  catalog: pg.Client
  close(): Promise<void>
}

export async function hands(plane: BenchPlane): Promise<Hands> {
  const control = await session(plane.access, 'postgres', plane.access.control)
  const catalog = new pg.Client({ connectionString: plane.env['SAASCTL_CATALOG_URL'] })
  await catalog.connect()
  return { control, catalog, close: async () => void (await Promise.all([control.end(), catalog.end()])) }
}

/**
 * Makes an isolated tenant database as a straight script would: the statements that the engine sends, in its order, and two
 * rows of the catalog. No ledger, no fence, no look at what is there already, no sealed password, no way back.
 */
export async function createByHand(plane: BenchPlane, hands: Hands, slug: string, limits: DatabaseLimits) {
  const databaseId = uuidv7()
  const names = namesOf(databaseId)
  const { control, catalog } = hands
  const { owner, app_a, app_b, readonly } = names.logins
  const password = Object.fromEntries(loginRoles.map(role => [role, randomPassword()])) as Record<string, Secret>
  const app: Credentials = { login: app_a, password: password['app_a'] as Secret }

  const tenantId = uuidv7()
  await catalog.query('begin')
  await catalog.query(
    `insert into saasctl.tenant (id, slug, status, plan, template) values ($1, $2, 'active', 'free', 'standard')`,
    [tenantId, slug]
  )
  const event = [`tenant:${tenantId}`, 'tester', 'asserted', 'tenant.create', `tenant:${tenantId}`, '{}']
  await catalog.query('select from saasctl.audit_append($1, $2, $3, $4, $5, $6)', event)
  await catalog.query('commit')

  const verifiers = await Promise.all(loginRoles.map(role => scramVerifier(password[role] as Secret)))
  const bound = { owner: 50, app_a: limits.connections, app_b: limits.connections, readonly: 5 }
  await control.query(
    [
      `CREATE ROLE ${id(names.members)} NOLOGIN`,
      `CREATE ROLE ${id(names.app)} NOLOGIN`,
      ...loginRoles.map(
        (role, index) =>
          `CREATE ROLE ${id(names.logins[role])} ${role === 'owner' ? 'LOGIN ' : ''}CONNECTION LIMIT ${bound[role]}
           PASSWORD ${literal(verifiers[index] as string)}`
      ),
      `GRANT ${id(names.members)} TO ${[owner, names.app, readonly].map(id).join(', ')}`,
      `GRANT ${id(names.app)} TO ${id(app_a)}, ${id(app_b)}`,
      ...[app_a, app_b].map(login => `ALTER ROLE ${id(login)} SET role = ${literal(names.app)}`)
    ].join(';\n')
  )
  await control.query(
    `CREATE DATABASE ${id(names.database)} TEMPLATE ${id(plane.template.database)} STRATEGY wal_log ALLOW_CONNECTIONS false`
  )
  await control.query(`
    REVOKE ALL ON DATABASE ${id(names.database)} FROM PUBLIC;
    GRANT CONNECT ON DATABASE ${id(names.database)} TO ${id(names.members)};
    GRANT CREATE, TEMPORARY ON DATABASE ${id(names.database)} TO ${id(owner)};
    ALTER DATABASE ${id(names.database)} ALLOW_CONNECTIONS true`)

  const templateOwner = plane.template.owner
  await control.query(`GRANT ${id(owner)} TO ${id(templateOwner.login)}`)
  const inside = await session(plane.access, names.database, templateOwner)
  const pairs = rolePairs(plane.template.names, names)
  await inside.query(`
    BEGIN;
    ${handOver(
      pairs.filter(pair => pair.old === templateOwner.login),
      pairs
    )};
    DELETE FROM saasctl.identity WHERE database_id <> ${literal(databaseId)};
    INSERT INTO saasctl.identity (database_id) VALUES (${literal(databaseId)}) ON CONFLICT DO NOTHING;
    COMMIT`)
  await inside.end()
  await control.query(`REVOKE ${id(owner)} FROM ${id(templateOwner.login)}`)

  const bounded = [app_a, app_b, readonly]
  await control.query(
    [
      `ALTER DATABASE ${id(names.database)} CONNECTION LIMIT ${limits.connections + 10}`,
      ...(['app_a', 'app_b', 'readonly'] as const).map(
        role => `ALTER ROLE ${id(names.logins[role])} CONNECTION LIMIT ${bound[role]}`
      ),
      ...bounded.flatMap(login => [
        `ALTER ROLE ${id(login)} IN DATABASE ${id(names.database)} SET statement_timeout = '${limits.statementTimeoutMs}ms'`,
        `ALTER ROLE ${id(login)} IN DATABASE ${id(names.database)}
           SET idle_in_transaction_session_timeout = '${limits.idleInTransactionMs}ms'`
      ])
    ].join(';\n')
  )
  await control.query(bounded.map(login => `ALTER ROLE ${id(login)} LOGIN`).join(';\n'))

  const tenant = await session(plane.access, names.database, app)
  await tenant.query('SELECT database_id::text FROM saasctl.identity')
  await tenant.end()
  return names
}
