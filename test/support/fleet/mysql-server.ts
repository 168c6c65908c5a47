import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerRow } from '../../../src/catalog/servers.js'
import { loginRoles } from '../../../src/engines/engine.js'
import { SPARE } from '../../../src/engines/mysql/limits.js'
import { recordsOf } from '../../../src/engines/mysql/names.js'
import { grantName } from '../../../src/engines/mysql/quote.js'
import { databaseIdOf } from '../../../src/names.js'
import type { MariadbServer } from '../mariadb-server.js'
import { type Fleet, type FleetDatabase, isLive, openLogins } from './read.js'

type Ask = <Row>(sql: string) => Promise<Row[]>

/** What a MariaDB holds beside what the catalog says that it holds, both ways. Looks as root, past every guard. */
export async function auditMysqlServer(fleet: Fleet, server: ServerRow, test: MariadbServer): Promise<string[]> {
  const expected = fleet.databases.filter(database => database.serverId === server.id && isLive(database))
  const ask: Ask = async <Row>(sql: string) => (await test.root(sql)) as Row[]
  const findings = [
    ...(await databaseFindings(expected, ask)),
    ...(await loginFindings(expected, ask)),
    ...(await rightFindings(expected, ask)),
    ...(await leftSessions(ask)),
    ...(await leftLocks(fleet, ask))
  ]
  return findings.map(finding => `On server ${server.name}: ${finding}`)
}

async function databaseFindings(expected: FleetDatabase[], ask: Ask): Promise<string[]> {
  const found = (await ask<{ name: string }>('select schema_name as name from information_schema.schemata')).map(
    ({ name }) => name
  )
  const wanted = expected.flatMap(({ name }) => [name, recordsOf(name)])
  return [
    ...wanted.filter(name => !found.includes(name)).map(name => `database ${name} is not there.`),
    ...found
      .filter(name => databaseIdOf(name.slice(0, 27)) && !wanted.includes(name))
      .map(name => `database ${name} is there, and not in the catalog.`)
  ]
}

interface Login {
  name: string
  locked: number
  bound: number
  seconds: number
}

async function loginFindings(expected: FleetDatabase[], ask: Ask): Promise<string[]> {
  const found = await ask<Login>(
    `select User as name, coalesce(json_value(Priv, '$.account_locked'), '0') in ('1', 'true') as locked,
       coalesce(json_value(Priv, '$.max_user_connections'), 0) + 0 as bound,
       coalesce(json_value(Priv, '$.max_statement_time'), 0) + 0 as seconds
     from mysql.global_priv`
  )
  const findings: string[] = []
  const known = new Set<string>()
  for (const database of expected) {
    const { names, limits } = database
    const open = openLogins(database)
    for (const role of loginRoles) {
      const name = names.logins[role]
      known.add(name)
      const login = found.find(login => login.name === name)
      const state = login ? (Number(login.locked) ? 'closed' : 'open') : 'absent'
      if (state !== (open.includes(role) ? 'open' : 'closed')) {
        findings.push(`login ${name} of ${database.tenant?.slug ?? database.kind} is ${state}.`)
      }
      if (!login || !role.startsWith('app')) continue
      if (Number(login.bound) !== limits.connections + SPARE) {
        findings.push(
          `login ${name} may have ${login.bound} connections, not ${limits.connections} and one for a KILL.`
        )
      }
      if (Number(login.seconds) !== (limits.statementTimeoutMs ?? 0) / 1000) {
        findings.push(`login ${name} may take ${login.seconds} s, not ${limits.statementTimeoutMs} ms.`)
      }
    }
  }
  for (const { name } of found) {
    if (databaseIdOf(name.slice(0, 27)) && !known.has(name)) {
      findings.push(`login ${name} is there, and not in the catalog.`)
    }
  }
  return findings
}

/** Rights are those of an open database's own logins, and of nobody else; a sealed one has none. */
async function rightFindings(expected: FleetDatabase[], ask: Ask): Promise<string[]> {
  const found = await ask<{ right: string }>(
    `select concat(User, ' on ', Db) as \`right\` from mysql.db where User like 't%'
     union all select concat(User, ' on ', Db, '.', Table_name) from mysql.tables_priv where User like 't%'`
  )
  const wanted = expected
    .filter(({ kind }) => kind === 'tenant')
    .flatMap(({ name, names: { logins } }) => [
      ...loginRoles.map(role => `${logins[role]} on ${grantName(name)}`),
      `${logins.owner} on ${recordsOf(name)}`,
      ...[logins.app_a, logins.app_b, logins.readonly].map(login => `${login} on ${recordsOf(name)}.identity`)
    ])
  const rights = found.map(({ right }) => right)
  return [
    ...wanted.filter(right => !rights.includes(right)).map(right => `the right of ${right} is missing.`),
    ...rights.filter(right => !wanted.includes(right)).map(right => `the right of ${right} was left.`)
  ]
}

/** A session that an operation had inside a database ends with it; one that is on its way out gets a moment. */
async function leftSessions(ask: Ask): Promise<string[]> {
  for (let tries = 0; ; tries += 1) {
    const found = await ask<{ user: string }>(
      `select user as user from information_schema.processlist where user like 't%own'`
    )
    if (found.length === 0) return []
    if (tries === 400) return found.map(({ user }) => `a session of ${user} is still there.`)
    await sleep(25)
  }
}

/** No try of any operation has a session that could still act; one that was ended gets a moment, too. */
async function leftLocks({ operations }: Fleet, ask: Ask): Promise<string[]> {
  const findings: string[] = []
  for (const { id, kind } of operations) {
    const seats = [1, 2, 3, 4, 5].flatMap(epoch => [0, 1].map(seat => `is_used_lock('saasctl/${id}/${epoch}/${seat}')`))
    const held = async () =>
      (await ask<{ holders: string }>(`select concat_ws(',', ${seats.join(', ')}) as holders`))[0]?.holders
    let holders = await held()
    for (let tries = 0; holders && tries < 400; tries += 1) {
      await sleep(25)
      holders = await held()
    }
    if (holders) findings.push(`a session of operation ${id} (${kind}) is still there: ${holders}.`)
  }
  return findings
}
