import { createHash, randomBytes } from 'node:crypto'
import { chown, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import mysql, { type Connection } from 'mysql2/promise'
import type t from 'tap'
import { type MysqlBinaries, mysqlBinaries as machineBinaries } from '../../src/embedded/mysql-binaries.js'
import { initMysql, startMysql, stopMysql } from '../../src/embedded/mysql-server.js'
import { run } from '../../src/embedded/programs.js'
import { recipe } from '../../src/engines/mysql/recipe.js'
import { Secret } from '../../src/secret.js'
import { cache, makeCache, scratch, user, watch } from './servers.js'

export type { MysqlBinaries }

/** A MariaDB or MySQL of the suite's own. It ends with the test process, however that ends, and leaves nothing behind. */
export interface MysqlTestServer {
  flavour: MysqlBinaries['flavour']
  version: string
  host: '127.0.0.1'
  port: number
  /** Enters through the socket only. */
  superuser: { login: 'root'; password: string }
  dataDir: string
  socket: string
  logFile: string
  /** Ends the server and removes its data. A second time is OK. */
  stop(): Promise<void>
  /** Ends the server if it runs, and starts it again on the same port; also after `kill`. */
  restart(settings?: Record<string, string>): Promise<void>
  kill(signal: NodeJS.Signals): void
}

export interface MysqlTestServerOptions {
  /** The first of `mysqlBinaries()` by default. */
  binaries?: MysqlBinaries
  /** Added to the embedded server's, without fsync: `{ 'max-connections': '20' }`. */
  settings?: Record<string, string>
}

let found: Promise<MysqlBinaries[]> | undefined

/** MariaDB and MySQL, whichever are here. */
export function mysqlBinaries(): Promise<MysqlBinaries[]> {
  found ??= machineBinaries(process.env['PATH'] ?? '', user)
  return found
}

/** Says in one loud line that there is neither, and skips the whole file: `if (await skipWithoutMysql(t)) …`. */
export async function skipWithoutMysql(test: typeof t): Promise<boolean> {
  if ((await mysqlBinaries()).length > 0) return false
  test.comment('NO MARIADB AND NO MYSQL HERE: nothing below was tested. Install `mariadb-server`.')
  test.plan(0, 'no MariaDB or MySQL on this machine')
  return true
}

const unsafe = { 'innodb-flush-log-at-trx-commit': '0', 'innodb-doublewrite': '0', 'innodb-buffer-pool-size': '32M' }

/** Starts a private server with a copy of the cached data folder: about 0.4 s, and 2 s more at the very first time. */
export async function startMysqlServer(options: MysqlTestServerOptions = {}): Promise<MysqlTestServer> {
  const binaries = options.binaries ?? (await mysqlBinaries())[0]
  if (!binaries) throw new Error('No MariaDB or MySQL was found; ask skipWithoutMysql first.')
  const template = await templateOf(binaries)
  const folder = await mkdtemp(join(scratch, 'saasctl-test.'))
  if (user) await chown(folder, user.uid, user.gid)
  const endWatch = watch(folder, 'server.pid')
  const dataDir = join(folder, 'data')
  await run('/bin/cp', ['-a', join(template, 'data'), dataDir], { user })
  const socket = join(folder, 'server.sock')
  const logFile = join(folder, 'server.log')
  const begin = (settings = options.settings, port?: number) =>
    startMysql({ binaries, user, dataDir, socket, logFile, port, settings: { ...unsafe, ...settings } })
  let running = await begin()
  return {
    flavour: binaries.flavour,
    version: binaries.version,
    host: '127.0.0.1',
    port: running.port,
    superuser: { login: 'root', password: await readFile(join(template, 'password'), 'utf8') },
    dataDir,
    socket,
    logFile,
    stop: endWatch,
    restart: async settings => {
      await stopMysql(dataDir)
      const { port } = running
      running = await begin(settings, port)
      if (running.port !== port) throw new Error(`Port ${port} was taken while the server was down.`)
    },
    kill: signal => {
      process.kill(running.pid, signal)
    }
  }
}

/** The test server's control login, with exactly what the control plane needs. */
export async function mysqlControlLogin(server: MysqlTestServer): Promise<{ login: string; password: Secret }> {
  const login = 'saasctl_server'
  const password = randomBytes(18).toString('base64url')
  await asRoot(server, async root => {
    await root.query(`CREATE USER ${login}@'%' IDENTIFIED BY '${password}'`)
    for (const statement of recipe(server.flavour, login)) await root.query(statement)
  })
  return { login, password: new Secret(password) }
}

/** Runs something as root through the socket. */
export async function asRoot<T>(server: MysqlTestServer, work: (root: Connection) => Promise<T>): Promise<T> {
  const { login, password } = server.superuser
  const root = await mysql.createConnection({ socketPath: server.socket, user: login, password })
  try {
    return await work(root)
  } finally {
    root.destroy()
  }
}

/** Built under a name of its own and renamed: test files that start at once do not disturb each other. */
async function templateOf(binaries: MysqlBinaries): Promise<string> {
  await makeCache()
  const statements = (password: string) => [
    `ALTER USER root@localhost IDENTIFIED BY '${password}'`,
    // From the socket alone: no name is resolved, so that 127.0.0.1 is another host than localhost.
    `DROP USER IF EXISTS root@'127.0.0.1', root@'::1', root@'${hostname().toLowerCase()}'`
  ]
  const key = createHash('sha256').update(statements('').join()).digest('hex').slice(0, 8)
  const template = join(cache, `${binaries.flavour}-${binaries.version}-${key}`)
  if (await stat(template).catch(() => undefined)) return template
  const building = await mkdtemp(`${template}.`)
  try {
    if (user) await chown(building, user.uid, user.gid)
    const password = randomBytes(18).toString('base64url')
    await initMysql({ binaries, user, dataDir: join(building, 'data') }, statements(password))
    await writeFile(join(building, 'password'), password, { mode: 0o600 })
    await rename(building, template).catch(() => undefined)
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return template
}
