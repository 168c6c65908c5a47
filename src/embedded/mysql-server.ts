import { spawn } from 'node:child_process'
import { open, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../errors.js'
import type { MysqlBinaries } from './mysql-binaries.js'
import { choosePort } from './ports.js'
import { makePrivate, writePrivate } from './private.js'
import { environment, isAlive, isOurs, lastLines, run } from './programs.js'
import type { RunAs } from './user.js'

export interface MysqlData {
  binaries: MysqlBinaries
  user: RunAs | undefined
  dataDir: string
}

export interface MysqlStart extends MysqlData {
  /** Its folder is private to the server's user: root enters here alone. At most 100 characters. */
  socket: string
  logFile: string
  /** The port to use if it is free; another one otherwise. */
  port?: number | undefined
  /** Added after ours, where the last one wins: `--max-connections=20`. */
  options?: string[] | undefined
}

export interface MysqlProcess {
  pid: number
  port: number
}

const START_TIMEOUT_MS = 120_000

/** Many small databases on a developer's machine. Plain text stays on loopback; no files in or out, no names to resolve. */
const mysqlSettings = (dataDir: string): Record<string, string> => ({
  'bind-address': '127.0.0.1',
  'skip-name-resolve': '1',
  'local-infile': '0',
  // Not empty, or files go in and out anywhere; the data folder's own is named, for nothing else is sure to be there.
  'secure-file-priv': dataDir,
  'character-set-server': 'utf8mb4',
  'default-time-zone': '+00:00',
  'max-connections': '200',
  'innodb-buffer-pool-size': '64M',
  'table-open-cache': '2000',
  'performance-schema': 'OFF'
})

const flavoured = {
  mariadb: { 'skip-log-bin': '1', 'innodb-log-file-size': '48M' },
  mysql: { 'disable-log-bin': '1', mysqlx: 'OFF', 'partial-revokes': 'OFF' }
}

/** Makes the data folder, then runs statements as root, one a line, before any server listens. The folder must not exist. */
export async function initMysql({ binaries, user, dataDir }: MysqlData, statements: string[]): Promise<void> {
  await makePrivate(dataDir, user)
  await makePrivate(temporary(dataDir), user)
  const extra = `${dataDir}.sql`
  // MariaDB makes its folder without rights and takes no statement on them before it has read its own tables.
  await writePrivate(extra, `${['FLUSH PRIVILEGES', ...statements].join(';\n')};\n`, user)
  const options = ['--no-defaults', `--datadir=${dataDir}`, `--tmpdir=${temporary(dataDir)}`]
  try {
    if (binaries.install !== undefined) {
      const root = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
      await run(binaries.install, [...options, ...root, `--extra-file=${extra}`], { user })
    } else {
      await run(binaries.server, [...options, '--initialize-insecure', `--init-file=${extra}`], { user })
    }
  } finally {
    await rm(extra, { force: true })
  }
}

/** Starts the server, which goes on when this process ends. Recovers what a killed server left. */
export async function startMysql(start: MysqlStart): Promise<MysqlProcess> {
  const deadline = Date.now() + START_TIMEOUT_MS
  // One that was started by a process that died before it wrote down where would keep the data locked.
  await stopMysql(start.dataDir)
  await makePrivate(temporary(start.dataDir), start.user)
  let port = await choosePort(start.port)
  let said = ''
  while (Date.now() < deadline) {
    const attempt = await tryStart(start, port, deadline)
    if ('pid' in attempt) return attempt
    said = attempt.said
    if (!/Bind on TCP\/IP port|Do you already have another/.test(said)) break
    port = await choosePort(undefined)
  }
  throw new SaasctlError(
    'EMBEDDED_FAILED',
    `The private MySQL server did not start: ${lastLines(said) || 'no answer'}`,
    {
      hint: `Its log is ${start.logFile}.`
    }
  )
}

async function tryStart(start: MysqlStart, port: number, deadline: number): Promise<MysqlProcess | { said: string }> {
  const { binaries, dataDir } = start
  await makePrivate(temporary(dataDir), start.user)
  const log = await open(start.logFile, 'a', 0o600)
  const from = (await log.stat()).size
  const settings = { ...mysqlSettings(dataDir), ...flavoured[binaries.flavour] }
  const args = [
    '--no-defaults',
    `--datadir=${dataDir}`,
    `--tmpdir=${temporary(dataDir)}`,
    `--socket=${start.socket}`,
    `--port=${port}`,
    `--pid-file=${pidFile(dataDir)}`,
    ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
    ...(start.options ?? [])
  ]
  const child = spawn(binaries.server, args, {
    ...start.user,
    cwd: '/',
    env: environment,
    detached: true,
    stdio: ['ignore', log.fd, log.fd]
  })
  child.unref()
  let ended: string | undefined
  child.on('exit', () => (ended ??= ''))
  child.on('error', error => (ended ??= error.message))
  try {
    for (;;) {
      const said = (await readFile(start.logFile)).subarray(from).toString()
      if (child.pid !== undefined && /ready for connections/.test(said)) return { pid: child.pid, port }
      if (ended !== undefined || Date.now() > deadline) return { said: ended || said }
      await sleep(10)
    }
  } finally {
    await log.close()
  }
}

/** The server on a data folder, if it runs and answers at this port: what was started and never written down does not. */
export async function findMysql(dataDir: string, port: number): Promise<MysqlProcess | undefined> {
  const pid = await pidOf(dataDir)
  return pid !== undefined && (await greets(port)) ? { pid, port } : undefined
}

/** Whether somebody listens there and speaks first, as these servers do. */
function greets(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 5_000 })
    const answer = (greeted: boolean) => {
      socket.destroy()
      resolve(greeted)
    }
    socket.once('data', () => answer(true))
    socket.once('error', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}

async function pidOf(dataDir: string): Promise<number | undefined> {
  const pid = Number(await readFile(pidFile(dataDir), 'utf8').catch(() => ''))
  return pid && (await isOurs(pid, dataDir)) ? pid : undefined
}

/** Ends sessions, then the server; returns when it is gone. Stopping a stopped server is OK: false. */
export async function stopMysql(dataDir: string): Promise<boolean> {
  const pid = await pidOf(dataDir)
  if (pid === undefined) return false
  for (const [signal, patience] of [
    ['SIGTERM', 60_000],
    ['SIGKILL', 10_000]
  ] as const) {
    if (isAlive(pid)) process.kill(pid, signal)
    for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(15)) {
      if (!(await isOurs(pid, dataDir))) return true
    }
  }
  throw new SaasctlError('EMBEDDED_FAILED', `The private MySQL server (process ${pid}) does not stop.`)
}

const pidFile = (dataDir: string): string => join(dataDir, 'server.pid')

/**
 * A server that starts removes every temporary table in its folder, also those of another that runs: in a shared /tmp that
 * other one fails in the middle of a statement, or dies.
 */
const temporary = (dataDir: string): string => `${dataDir}.tmp`
