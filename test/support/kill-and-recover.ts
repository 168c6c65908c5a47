import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { COLLATION } from '../../src/engines/mysql/connect.js'
import { all } from '../../src/engines/mysql/quote.js'
import { ownerVerbs } from '../../src/engines/mysql/recipe.js'
import { addServer } from '../../src/servers/add.js'
import { startVerb } from './child.js'
import { controlPlane } from './control-plane.js'
import { auditBackups } from './fleet/backups.js'
import { fleetAudit } from './fleet-audit.js'
import { type KillPoint, pointsOfToday } from './kill-points.js'
import { type MariadbServer, mysqlControlLogin, startMariadb } from './mariadb-server.js'
import { type Stage, scenes } from './scenes.js'
import { asSuperuser, type Binaries } from './servers.js'
import { settle } from './settle.js'
import { type Successor, takeOver } from './take-over.js'
import { type TinyTemplate, tinyTemplate } from './tiny-template.js'
import { durable } from './two-servers.js'

export interface KillStage extends Stage {
  /** Where the tenants are, unless they are beside the catalog. */
  mysql?: MariadbServer
  /** From then on there may be folders of half-made databases that PostgreSQL has left. */
  serverKilled: boolean
  close(): Promise<void>
}

/** A control plane with short leases and a template that is quickly copied. */
export async function killStage(binaries?: Binaries): Promise<KillStage> {
  const template = await tinyTemplate()
  const plane = await controlPlane({
    ...(binaries && { binaries }),
    config: durable,
    env: { ...template.env, SAASCTL_LEASE: '300ms' }
  })
  const close = async () => {
    await plane.close()
    await template.remove()
  }
  const openLogin = (login: string) => asSuperuser(plane.server, client => client.query(`alter role "${login}" login`))
  const foreignDatabase = async () => {
    const name = newForeign()
    await asSuperuser(plane.server, async client => {
      await client.query(`create role ${name}_owner`)
      await client.query(`create database ${name} owner ${name}_owner`)
    })
    await asSuperuser(
      plane.server,
      client => client.query(`set session authorization ${name}_owner; ${FOREIGN.join('; ')}`),
      name
    )
    return name
  }
  return {
    plane,
    saasctl: plane.saasctl,
    template,
    openLogin,
    foreignDatabase,
    dumpFile: () => dumpOf(template),
    serverKilled: false,
    close
  }
}

let foreigners = 0
const newForeign = () => `old_${process.pid}_${++foreigners}`

async function dumpOf({ migrations }: TinyTemplate): Promise<string> {
  const file = join(migrations, '..', 'dump.sql')
  await writeFile(file, `${FOREIGN.join(';\n')};\n`)
  return file
}

/** What the template's first two migrations make. */
const FOREIGN = [
  'create table notes (id int primary key, body text not null)',
  'create table tags (id int primary key, name text)'
]

/** The same with all tenants on a MariaDB, which keeps what it said that it had committed. */
export async function mysqlKillStage(): Promise<KillStage> {
  const template = await tinyTemplate(['mysql'])
  const plane = await controlPlane({
    addServer: false,
    config: durable,
    env: { ...template.env, SAASCTL_LEASE: '300ms' }
  })
  const mysql = await startMariadb(['--innodb-flush-log-at-trx-commit=1'])
  const control = await mysqlControlLogin(mysql)
  const { host, port } = mysql
  await addServer(plane.saasctl, { name: 'maria', engine: 'mysql', host, port, ...control })
  const close = async () => {
    await plane.close()
    await mysql.stop()
    await template.remove()
  }
  const openLogin = (login: string) => mysql.root(`alter user '${login}'@'%' account unlock`)
  const foreignDatabase = async () => {
    const name = newForeign()
    await mysql.root(`create database ${name} character set utf8mb4 collate ${COLLATION}`)
    await mysql.root(FOREIGN.join('; '), name)
    await mysql.root(`grant ${ownerVerbs.join(', ')} on ${all(name)} to '${control.login}'@'%' with grant option`)
    return name
  }
  return {
    plane,
    saasctl: plane.saasctl,
    template,
    mysql,
    openLogin,
    foreignDatabase,
    dumpFile: () => dumpOf(template),
    serverKilled: false,
    close
  }
}

/** What a killed process has left, and what came of it. */
export interface Recovered {
  killed: boolean
  kind: string
  status: string
  findings: string[]
}

/** Kills a process at one point, lets another one go on, and looks at the whole fleet afterwards. */
export async function killAndRecover(stage: KillStage, point: KillPoint, successor: Successor): Promise<Recovered> {
  const { plane, saasctl } = stage
  const { verb, argument } = await (scenes[point.kind]?.(stage) ??
    Promise.reject(new Error(`No scene: ${point.kind}.`)))
  const child = startVerb(plane.env, verb, argument, point.failpoint)
  const { signal } = await child.ended
  const last = child.said.at(-1)?.progress
  if (!last) throw new Error(`It said nothing: ${JSON.stringify(child.said)} ${child.stderr()}`)
  const ended = await takeOver(plane, last.operation, successor)
  await settle(saasctl)
  return {
    killed: signal === 'SIGKILL',
    kind: ended.kind,
    status: ended.status,
    findings: [...(await fleetAudit(plane, { mysql: stage.mysql })), ...(await auditBackups(saasctl))]
  }
}

/** One sub-test for each point whose turn it is today. Every fourth is taken over by a worker instead of the next command. */
export async function testKillPoints(root: Test, stage: KillStage, kindNames: string[], share: number): Promise<void> {
  let index = 0
  // A root test ends by itself when no sub-test of its is under way; one that is async lasts as long as its promise.
  await root.test('killed at any point of any step, an operation is finished or taken back whole', async test => {
    for (const [name, points] of await pointsOfToday(kindNames, share)) {
      for (const point of points) {
        const successor = index++ % 4 === 3 ? 'worker' : 'next process'
        const how = point.ends === 'succeeded' ? 'finished' : 'taken back whole'
        await test.test(
          `${name} killed at "${point.step}", ${point.moment}, is ${how} by the ${successor}`,
          async t => {
            const { killed, kind, status, findings } = await killAndRecover(stage, point, successor)
            t.ok(killed, 'the process was killed')
            t.equal(kind, name)
            t.equal(status, point.ends)
            t.strictSame(findings, [])
          }
        )
      }
    }
  })
}
