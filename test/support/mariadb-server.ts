import { randomBytes } from 'node:crypto'
import { chown, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import mysql, { type RowDataPacket } from 'mysql2/promise'
import type t from 'tap'
import { type MysqlBinaries, mysqlBinaries as machineBinaries } from '../../src/embedded/mysql-binaries.js'
import { initMysql, startMysql, stopMysql } from '../../src/embedded/mysql-server.js'
import { run } from '../../src/embedded/programs.js'
import { recipe } from '../../src/engines/mysql/recipe.js'
import { Secret } from '../../src/secret.js'
import { keptData, makeCache, scratch, user, watch } from './servers.js'

export type { MysqlBinaries }

/** A MariaDB or MySQL of the suite's own. It ends with the test process, however that ends, and leaves nothing behind. */
export interface MariadbServer {
  flavour: MysqlBinaries['flavour']
  version: string
  host: '127.0.0.1'
  port: number
  /** Root enters here, and here alone. */
  socket: string
  dataDir: string
  logFile: string
  /** Runs SQL as root through the socket; the rows of the last statement. */
  root(sql: string, database?: string): Promise<Array<Record<string, unknown>>>
  /** Ends the server and removes its data. A second time is OK. */
  stop(): Promise<void>
  /** Ends the server if it runs, and starts it again on the same port with these options besides; also after `kill`. */
  restart(options?: string[]): Promise<void>
  kill(signal: NodeJS.Signals): void
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

const light = ['--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0', '--innodb-buffer-pool-size=64M']

/** Starts a private server with a copy of a cached data folder: about 0.4 s, and 2 s more at the very first time. */
export async function startMariadb(
  options: string[] = [],
  binaries?: MysqlBinaries,
  parent = scratch
): Promise<MariadbServer> {
  const chosen = binaries ?? (await mysqlBinaries())[0]
  if (!chosen) throw new Error('No MariaDB or MySQL was found; ask skipWithoutMysql first.')
  const template = await templateOf(chosen)
  const folder = await mkdtemp(join(parent, 'saasctl-test.'))
  if (user) await chown(folder, user.uid, user.gid)
  const stop = watch(folder, 'server.pid')
  const dataDir = join(folder, 'data')
  await run('/bin/cp', ['-a', join(template, 'data'), dataDir], { user })
  const socket = join(folder, 'server.sock')
  const logFile = join(folder, 'server.log')
  const password = await readFile(join(template, 'password'), 'utf8')
  const begin = (more: string[] = [], port?: number) =>
    startMysql({ binaries: chosen, user, dataDir, socket, logFile, port, options: [...light, ...options, ...more] })
  let running = await begin()
  const { flavour, version } = chosen
  return {
    flavour,
    version,
    host: '127.0.0.1',
    port: running.port,
    socket,
    dataDir,
    logFile,
    root: async (sql, database) => {
      const way = { socketPath: socket, user: 'root', password, multipleStatements: true }
      const connection = await mysql.createConnection({ ...way, ...(database !== undefined && { database }) })
      try {
        return lastRows((await connection.query(sql))[0])
      } finally {
        await connection.end()
      }
    },
    stop,
    restart: async more => {
      await stopMysql(dataDir)
      const { port } = running
      running = await begin(more, port)
      if (running.port !== port) throw new Error(`Port ${port} was taken while the server was down.`)
    },
    kill: signal => {
      process.kill(running.pid, signal)
    }
  }
}

/** The rows of the last statement of several, as a driver answers them; none for a statement that gives none. */
export function lastRows(result: unknown): Array<Record<string, unknown>> {
  if (!Array.isArray(result)) return []
  const several = result.some(one => Array.isArray(one) || one?.constructor?.name === 'ResultSetHeader')
  return several ? lastRows(result.at(-1)) : (result as RowDataPacket[])
}

/** The test server's control login, with exactly what the control plane needs. */
export async function mysqlControlLogin(server: MariadbServer): Promise<{ login: string; password: Secret }> {
  const login = 'saasctl_server'
  const password = randomBytes(18).toString('base64url')
  const statements = [`CREATE USER ${login}@'%' IDENTIFIED BY '${password}'`, ...recipe(server.flavour, login)]
  await server.root(statements.join(';\n'))
  return { login, password: new Secret(password) }
}

async function templateOf(binaries: MysqlBinaries): Promise<string> {
  const statements = (password: string) => [
    `ALTER USER root@localhost IDENTIFIED BY '${password}'`,
    // From the socket alone: no name is resolved, so that 127.0.0.1 is another host than localhost.
    `DROP USER IF EXISTS root@'127.0.0.1', root@'::1', root@'${hostname().toLowerCase()}'`
  ]
  await makeCache()
  return keptData(`${binaries.flavour}-${binaries.version}`, statements('').join(), async building => {
    const password = randomBytes(18).toString('base64url')
    await initMysql({ binaries, user, dataDir: join(building, 'data') }, statements(password))
    await writeFile(join(building, 'password'), password, { mode: 0o600 })
  })
}
