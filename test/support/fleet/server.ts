import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { ServerRow } from '../../../src/catalog/servers.js'
import { loginRoles } from '../../../src/engines/engine.js'
import { databaseIdOf } from '../../../src/names.js'
import { asSuperuser, type TestServer } from '../servers.js'
import { type Fleet, type FleetDatabase, isLive, openLogins } from './read.js'

interface Role {
  name: string
  login: boolean
  bound: number
}

interface Found {
  name: string
  oid: string
  open: boolean
  bound: number
}

/** What a server holds beside what the catalog says that it holds, both ways. Looks as superuser, past every guard. */
export function auditServer(fleet: Fleet, server: ServerRow, test: TestServer, folders: boolean): Promise<string[]> {
  const expected = fleet.databases.filter(database => database.serverId === server.id && isLive(database))
  return asSuperuser(test, async client => {
    const rows = async <Row extends pg.QueryResultRow>(sql: string) => (await client.query<Row>(sql)).rows
    const databases = await rows<Found>(
      `select datname as name, oid::text, datallowconn as open, datconnlimit as bound from pg_database order by 1`
    )
    const roles = await rows<Role>('select rolname as name, rolcanlogin as login, rolconnlimit as bound from pg_roles')
    const findings = [
      ...databaseFindings(expected, databases),
      ...roleFindings(expected, roles),
      ...(await settingFindings(expected, rows)),
      ...(await memberships(expected, rows)),
      ...(await foreignRights(rows)),
      ...(await leftSessions(rows))
    ]
    if (folders) findings.push(...(await folderFindings(test, databases)))
    return findings.map(finding => `On server ${server.name}: ${finding}`)
  })
}

type Rows = <Row extends pg.QueryResultRow>(sql: string) => Promise<Row[]>

function databaseFindings(expected: FleetDatabase[], found: Found[]): string[] {
  const findings: string[] = []
  for (const database of expected) {
    const there = found.find(({ name }) => name === database.name)
    if (!there) findings.push(`database ${database.name} (${database.kind}, ${database.state}) is not there.`)
    else if (there.open !== (database.kind === 'tenant')) {
      findings.push(`database ${database.name} (${database.kind}) is ${there.open ? 'open' : 'closed'}.`)
    }
    if (there && database.kind === 'tenant' && there.bound !== database.limits.connections + 10)
      findings.push(`database ${database.name} takes ${there.bound} connections.`)
  }
  for (const { name, bound } of found) {
    if (bound === -2) findings.push(`database ${name} is what a killed drop left.`)
    if (databaseIdOf(name) && !expected.some(database => database.name === name))
      findings.push(`database ${name} is there, and not in the catalog.`)
  }
  return findings
}

function roleFindings(expected: FleetDatabase[], found: Role[]): string[] {
  const findings: string[] = []
  const known = new Set<string>()
  const byName = new Map(found.map(role => [role.name, role]))
  for (const database of expected) {
    const { names, limits } = database
    const open = openLogins(database)
    for (const group of [names.members, names.app]) {
      known.add(group)
      if (byName.get(group)?.login !== false) findings.push(`group ${group} is missing, or can log in.`)
    }
    for (const role of loginRoles) {
      const name = names.logins[role]
      known.add(name)
      const login = byName.get(name)
      if (login?.login !== open.includes(role)) {
        const state = login ? (login.login ? 'open' : 'closed') : 'absent'
        findings.push(`login ${name} of ${database.tenant?.slug ?? database.kind} is ${state}.`)
      }
      if (role.startsWith('app') && login && login.bound !== limits.connections)
        findings.push(`login ${name} may have ${login.bound} connections, not ${limits.connections}.`)
    }
  }
  for (const { name } of found) {
    if (databaseIdOf(name.slice(0, 27)) && !known.has(name))
      findings.push(`role ${name} is there, and not in the catalog.`)
  }
  return findings
}

/** The timeouts of the logins are those of the limits that the catalog has. */
async function settingFindings(expected: FleetDatabase[], rows: Rows): Promise<string[]> {
  const settings = await rows<{ login: string; database: string; settings: string[] }>(
    `select r.rolname as login, d.datname as database, s.setconfig as settings from pg_db_role_setting s
     join pg_roles r on r.oid = s.setrole join pg_database d on d.oid = s.setdatabase`
  )
  return expected
    .filter(({ kind }) => kind === 'tenant')
    .flatMap(({ names, limits }) =>
      (['app_a', 'app_b', 'readonly'] as const).flatMap(role => {
        const login = names.logins[role]
        const own = settings.find(row => row.login === login && row.database === names.database)?.settings ?? []
        const found = own.find(line => line.startsWith('statement_timeout='))
        const wanted =
          limits.statementTimeoutMs === null ? undefined : `statement_timeout=${limits.statementTimeoutMs}ms`
        return found === wanted ? [] : [`login ${login} has ${found ?? 'no statement_timeout'}, not ${wanted}.`]
      })
    )
}

/** Nobody is a member of another tenant's roles, of a template's, or of control's; and control is none of theirs. */
async function memberships(expected: FleetDatabase[], rows: Rows): Promise<string[]> {
  const allowed = new Set(
    expected.flatMap(({ names: { members, app, logins } }) => [
      ...[logins.owner, app, logins.readonly].map(member => `${member} in ${members}`),
      ...[logins.app_a, logins.app_b, logins.owner].map(member => `${member} in ${app}`)
    ])
  )
  const found = await rows<{ member: string; role: string; row: { inherit_option?: boolean; set_option?: boolean } }>(
    `select m.rolname as member, g.rolname as role, to_jsonb(a) as row from pg_auth_members a
     join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.roleid`
  )
  const ours = found.filter(({ member, role }) => [member, role].some(name => databaseIdOf(name.slice(0, 27))))
  return (
    ours
      // Since 16, who makes a role may administer it, and can neither become it nor use its rights.
      .filter(({ row }) => row.inherit_option !== false || row.set_option !== false)
      .map(({ member, role }) => `${member} in ${role}`)
      .filter(membership => !allowed.has(membership))
      .map(membership => `the membership ${membership} was left.`)
  )
}

/** In each database, nothing belongs to, or is granted to, a role of another one. */
async function foreignRights(rows: Rows): Promise<string[]> {
  const found = await rows<{ database: string; role: string }>(
    `select distinct d.datname as database, r.rolname as role from pg_shdepend s
     join pg_database d on d.oid = s.dbid join pg_roles r on r.oid = s.refobjid
     where s.refclassid = 'pg_authid'::regclass`
  )
  return found
    .filter(({ database, role }) => databaseIdOf(database) && databaseIdOf(role.slice(0, 27)))
    .filter(({ database, role }) => role.slice(0, 27) !== database)
    .map(({ database, role }) => `role ${role} has something in database ${database}.`)
}

/** A session that an operation had ends with it; one that is on its way out gets a moment. */
async function leftSessions(rows: Rows): Promise<string[]> {
  for (let tries = 0; ; tries += 1) {
    const found = await rows<{ name: string }>(
      `select application_name as name from pg_stat_activity where application_name ~ '^saasctl/'
       union all select 'a lock on ' || objid from pg_locks where locktype = 'advisory' and granted
         and database = (select oid from pg_database where datname = 'postgres')`
    )
    if (found.length === 0) return []
    if (tries === 400) return found.map(({ name }) => `the session or lock ${name} is still there.`)
    await sleep(25)
  }
}

async function folderFindings(test: TestServer, databases: Found[]): Promise<string[]> {
  const folders = (await readdir(join(test.dataDir, 'base'))).filter(name => /^\d+$/.test(name))
  return folders
    .filter(folder => !databases.some(({ oid }) => oid === folder))
    .map(folder => `folder base/${folder} belongs to no database.`)
}
