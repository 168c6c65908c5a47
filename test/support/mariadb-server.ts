import { type ChildProcess, spawn } from 'node:child_process'
import { access, chown, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection } from 'mysql2/promise'
import type t from 'tap'
import { run } from '../../src/embedded/programs.js'
import { unprivilegedUser } from '../../src/embedded/user.js'
import { scratch } from './servers.js'

const PROGRAM = '/usr/sbin/mariadbd'
const INSTALL = '/usr/bin/mariadb-install-db'
const user = await unprivilegedUser()

/** A MariaDB of the suite's own. It ends with the test process, however that ends, and leaves nothing behind. */
export interface MariadbServer {
  host: '127.0.0.1'
  port: number
  /** Root enters here, without a password. */
  socket: string
  dataDir: string
  /** Runs SQL as root through the socket. */
  root(sql: string): Promise<Array<Record<string, unknown>>>
  /** Ends the server and removes its data. A second time is OK. */
  stop(): Promise<void>
  /** Ends the server, and starts it again on the same port with these options besides. */
  restart(options?: string[]): Promise<void>
}

/** Says in one line that there is no MariaDB, and skips the whole file. */
export async function skipWithoutMysql(test: typeof t): Promise<boolean> {
  const there = await access(PROGRAM).then(
    () => true,
    () => false
  )
  if (there) return false
  test.comment('NO MARIADB HERE: nothing below was tested. Install `mariadb-server`.')
  test.plan(0, 'no MariaDB on this machine')
  return true
}

/** Starts a private server with a copy of a cached data folder: about 0.3 s, and 2 s more at the very first time. */
export async function startMariadb(options: string[] = []): Promise<MariadbServer> {
  const folder = await mkdtemp(join(scratch, 'saasctl-maria.'))
  if (user) await chown(folder, user.uid, user.gid)
  const stop = watch(folder)
  const [dataDir, socket, log] = ['data', 'socket', 'log'].map(name => join(folder, name)) as [string, string, string]
  await run('/bin/cp', ['-a', await template(), dataDir], { user })
  const port = await freePort()
  const place = [`--datadir=${dataDir}`, `--socket=${socket}`, `--port=${port}`, '--bind-address=127.0.0.1']
  const files = [`--pid-file=${join(folder, 'pid')}`, `--log-error=${log}`]
  const light = ['--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=64M', '--skip-name-resolve']
  const root = async (sql: string) => {
    const connection = await createConnection({ socketPath: socket, user: 'root', multipleStatements: true })
    try {
      const [rows] = await connection.query(sql)
      return rows as Array<Record<string, unknown>>
    } finally {
      await connection.end()
    }
  }
  const start = async (more: string[] = []): Promise<ChildProcess> => {
    const args = ['--no-defaults', ...place, ...files, ...light, ...options, ...more]
    const child = spawn(PROGRAM, args, { ...user, cwd: '/', stdio: 'ignore' })
    for (let tries = 0; tries < 200; tries += 1) {
      if (await root('do 1').catch(() => undefined)) return child
      await sleep(25)
    }
    throw new Error(`MariaDB did not start: ${await readFile(log, 'utf8').catch(() => 'it says nothing')}`)
  }
  let child = await start()
  return {
    host: '127.0.0.1',
    port,
    socket,
    dataDir,
    root,
    stop,
    restart: async more => {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
      child = await start(more)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Built under a name of its own and renamed: test files that start at once do not disturb each other. */
async function template(): Promise<string> {
  const cache = join(scratch, `saasctl-maria-${process.getuid?.() ?? 0}`)
  await mkdir(cache, { recursive: true, mode: 0o711 })
  const done = join(cache, 'template')
  if (await stat(done).catch(() => undefined)) return join(done, 'data')
  const building = await mkdtemp(`${done}.`)
  if (user) await chown(building, user.uid, user.gid)
  const args = ['--no-defaults', `--datadir=${join(building, 'data')}`, '--skip-test-db']
  await run(INSTALL, [...args, '--auth-root-authentication-method=normal'], { user })
  await rename(building, done).catch(() => rm(building, { recursive: true, force: true }))
  return join(done, 'data')
}

/**
 * Ends the server and removes its folder when this process is gone, also by SIGKILL: a shell in a session of its own reads
 * from a pipe that the kernel closes with us. Returns the same as a function, for the normal end.
 */
function watch(folder: string): () => Promise<void> {
  const script = `
    folder=$1
    read -r _
    pid=$(cat "$folder/pid" 2>/dev/null)
    if [ -n "$pid" ] && tr '\\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$folder"; then kill -KILL "$pid"; fi
    for _ in $(seq 50); do rm -rf "$folder" 2>/dev/null && break; sleep 0.1; done`
  const watcher = spawn('/bin/sh', ['-c', script, 'watch', folder], {
    ...user,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore']
  })
  const gone = new Promise<void>(resolve => watcher.once('exit', () => resolve()))
  watcher.unref()
  ;(watcher.stdin as typeof watcher.stdin & { unref(): void }).unref()
  return () => {
    watcher.ref()
    watcher.stdin.end()
    return gone
  }
}
