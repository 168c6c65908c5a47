import { randomBytes } from 'node:crypto'
import type { Credentials, DatabaseNames, Engine, MigrationFile, ServerAccess } from '../../src/engines/engine.js'
import { loginRoles } from '../../src/engines/engine.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import { mysqlEngines } from './mysql-engine.js'
import { postgresEngines } from './postgres-engine.js'

/** An engine on a server of the suite's own. What is written in the engine's SQL is in its fixture, and only there. */
export interface RealEngine {
  title: string
  start(): Promise<RunningEngine>
}

export interface RunningEngine {
  engine: Engine
  access: ServerAccess
  /** Runs statements in a database as a login and returns the rows of the last one. */
  query(database: string, as: Credentials, sql: string): Promise<Array<Record<string, unknown>>>
  /** A connection that stays until the other side ends it. */
  hold(database: string, as: Credentials): Promise<HeldConnection>
  /** As the server's own administrator. */
  admin(sql: string, database?: string): Promise<Array<Record<string, unknown>>>
  /** A login without any right to a tenant's database, as another application on the same server has it. */
  stranger(): Promise<Credentials>
  sql: EngineSql
  stop(): Promise<void>
  restart(): Promise<void>
  kill(): void
}

export interface HeldConnection {
  query(sql: string): Promise<Array<Record<string, unknown>>>
  ended: Promise<void>
  close(): Promise<void>
}

/** The sentences of the conformance suite in the engine's own words. */
export interface EngineSql {
  /** Connections that an app login has beyond its plan's. */
  spare: number
  /** A schema with one of everything that can be owned or granted. */
  everything: MigrationFile
  /** A table `notes (id, body)` with generated ids. */
  notes: MigrationFile
  /** Adds a column, takes it away. */
  notesPinned: MigrationFile
  /** Makes a table, then fails on its third line. */
  broken: MigrationFile
  /** Reads and writes that an app login may do in a copy of `everything`. */
  useEverything: string[]
  /** What an app login must not do, one statement each, in the database of this name with a table `notes`. */
  forbiddenToApp(database: string): string[]
  forbiddenToReadonly(database: string): string[]
}

/** Every engine whose binaries are on this machine, and a loud line for what is not. */
export async function realEngines(): Promise<RealEngine[]> {
  const [postgres, mysql] = await Promise.all([postgresEngines(), mysqlEngines()])
  if (postgres.length === 0) process.stdout.write('# NO POSTGRESQL HERE: nothing of its engine was tested.\n')
  if (mysql.length === 0) process.stdout.write('# NO MARIADB AND NO MYSQL HERE: nothing of their engine was tested.\n')
  return [...postgres, ...mysql]
}

/** A database with its names and passwords, not made yet. */
export interface Planned {
  id: string
  names: DatabaseNames
  passwords: Record<(typeof loginRoles)[number], Secret>
  as(role: (typeof loginRoles)[number]): Credentials
}

export function plan(engine: Engine): Planned {
  const id = uuidv7()
  const names = engine.names(id)
  const secret = () => new Secret(randomBytes(18).toString('base64url'))
  const passwords = { owner: secret(), app_a: secret(), app_b: secret(), readonly: secret() }
  return { id, names, passwords, as: role => ({ login: names.logins[role], password: passwords[role] }) }
}

export const limits = { connections: 10, statementTimeoutMs: 30_000, idleInTransactionMs: 60_000, tempFileMb: null }

/** A fence that nobody contests. */
export const fence = (lock = uuidv7(), operation = uuidv7(), epoch = 1) => ({
  operation,
  epoch,
  lock,
  confirm: async () => {}
})

/** Makes a database as the control plane does: in this order, and each verb once more, because each may be repeated. */
export async function make(
  running: RunningEngine,
  template?: Planned,
  planned = plan(running.engine)
): Promise<Planned> {
  const { engine, access } = running
  const { names, passwords, id } = planned
  const session = await engine.enter(access, fence())
  try {
    const steps = [
      () => session.makeLogins({ names, passwords, limits }),
      () => session.makeDatabase(names, template && { names: template.names, bytes: 0 }),
      () => session.guardDatabase(names),
      () =>
        session.furnishDatabase({
          names,
          databaseId: id,
          owner: planned.as('owner'),
          ...(template && { from: { names: template.names, owner: template.as('owner') } })
        }),
      () => session.setLimits(names, limits),
      () => session.openLogins(names, [...loginRoles])
    ]
    for (const step of steps) {
      await step()
      await step()
    }
  } finally {
    await session.end()
  }
  return planned
}

/** A template: made empty, migrated by its owner, sealed, its app and read-only logins closed. */
export async function makeTemplate(running: RunningEngine, files: MigrationFile[]): Promise<Planned> {
  const template = await make(running)
  await migrate(running, template, files)
  const session = await running.engine.enter(running.access, fence())
  await session.closeLogins(template.names, ['app_a', 'app_b', 'readonly'])
  await session.sealDatabase(template.names)
  await session.end()
  return template
}

export async function migrate(running: RunningEngine, planned: Planned, files: MigrationFile[]): Promise<void> {
  await inside(running, planned, async owner => {
    let after: string | null = (await owner.applied()).at(-1)?.name ?? null
    for (const file of files) {
      await owner.apply(file, 'up', after)
      after = file.name
    }
  })
}

export async function inside<Result>(
  running: RunningEngine,
  planned: Planned,
  act: (owner: Awaited<ReturnType<Awaited<ReturnType<Engine['enter']>>['enterDatabase']>>) => Promise<Result>
): Promise<Result> {
  const session = await running.engine.enter(running.access, fence())
  try {
    const owner = await session.enterDatabase(planned.names, planned.as('owner'))
    try {
      return await act(owner)
    } finally {
      await owner.end()
    }
  } finally {
    await session.end()
  }
}

export async function drop(running: RunningEngine, planned: Planned): Promise<void> {
  const session = await running.engine.enter(running.access, fence())
  try {
    await session.dropDatabase(planned.names)
    await session.dropLogins(planned.names)
  } finally {
    await session.end()
  }
}
