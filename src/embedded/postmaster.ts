import { type ChildProcess, spawn } from 'node:child_process'
import { access, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../errors.js'
import type { Binaries } from './binaries.js'
import { findPostmaster, type Postmaster, readPidFile, socketOf } from './pid-file.js'
import { choosePort } from './ports.js'
import { writePrivate } from './private.js'
import { environment, isAlive, isOurs, lastLines } from './programs.js'
import type { RunAs } from './user.js'

export interface Start {
  binaries: Binaries
  user: RunAs | undefined
  dataDir: string
  socketDir: string
  logFile: string
  /** The port to use if it is free; another one otherwise. */
  port?: number | undefined
}

const START_TIMEOUT_MS = 120_000

/**
 * Starts the server, which goes on when this process ends. When two processes start it at once, PostgreSQL's own lock on the
 * data folder lets one win, and both return the one server. Recovers what a killed server left.
 */
export async function startPostmaster(start: Start): Promise<Postmaster> {
  const deadline = Date.now() + START_TIMEOUT_MS
  await clearWay(start)
  let port = await choosePort(start.port)
  let said = ''
  while (Date.now() < deadline) {
    const attempt = await tryStart(start, port, deadline)
    if ('pid' in attempt) return attempt
    said = attempt.said
    if (/could not create any TCP\/IP sockets/.test(said)) port = await choosePort(undefined)
    // Another process is starting or stopping it, or the children of a killed server are still on their way out.
    else if (!/lock file "postmaster.pid" already exists|pre-existing shared memory block/.test(said)) break
    else await sleep(50)
    const other = await findPostmaster(start.dataDir)
    if (other) return other
  }
  throw new SaasctlError(
    'EMBEDDED_FAILED',
    `The embedded server did not start: ${lastLines(said) || 'no answer in time'}`,
    {
      hint: `Its log is ${start.logFile}.`
    }
  )
}

async function tryStart(start: Start, port: number, deadline: number): Promise<Postmaster | { said: string }> {
  const log = await open(start.logFile, 'a', 0o600)
  const from = (await log.stat()).size
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${start.socketDir}`]
  const args = ['-D', start.dataDir, ...settings.flatMap(setting => ['-c', setting])]
  const child = spawn(join(start.binaries.binDir, 'postgres'), args, {
    ...start.user,
    cwd: '/',
    env: environment,
    detached: true,
    stdio: ['ignore', log.fd, log.fd]
  })
  child.unref()
  const ended = watchEnd(child)
  try {
    while (Date.now() < deadline && !ended.happened) {
      const file = await readPidFile(start.dataDir)
      if (file?.pid === child.pid && file?.status === 'ready') {
        return { pid: file.pid, port: file.port, socketDir: file.socketDir }
      }
      await sleep(10)
    }
    return { said: ended.error ?? (await readFile(start.logFile)).subarray(from).toString() }
  } finally {
    await log.close()
  }
}

function watchEnd(child: ChildProcess): { happened: boolean; error?: string } {
  const ended: { happened: boolean; error?: string } = { happened: false }
  child.on('exit', () => (ended.happened = true))
  child.on('error', error => Object.assign(ended, { happened: true, error: error.message }))
  return ended
}

/** Ends sessions, then the server; returns when it is gone. Stopping a stopped server is OK: false. */
export async function stopPostmaster(dataDir: string): Promise<boolean> {
  const pid = (await readPidFile(dataDir))?.pid
  if (pid === undefined || !(await isOurs(pid, dataDir))) return false
  for (const [signal, patience] of [
    ['SIGINT', 60_000],
    ['SIGQUIT', 10_000]
  ] as const) {
    if (isAlive(pid)) process.kill(pid, signal)
    for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(15)) {
      if (!(await isOurs(pid, dataDir))) return true
    }
  }
  throw new SaasctlError('EMBEDDED_FAILED', `The embedded server (process ${pid}) does not stop.`, {
    hint: `See what it waits for in its log, then end it with \`kill -9 ${pid}\`.`
  })
}

/**
 * Sees to what PostgreSQL itself does not get over. After a kill, it does not start while any process of the same user has
 * the pid in its files: always so in a container that came up again, where pids repeat. The pid file is kept with our pid
 * in it, which PostgreSQL passes over as its parent's: the rest of the file leads it to the shared memory to clean up. And
 * when a clean-up of the temporary folder took the socket, a server runs that nobody can find.
 */
async function clearWay({ dataDir, user }: Start): Promise<void> {
  const file = await readPidFile(dataDir)
  if (!file || !isAlive(file.pid)) return
  const socket = socketOf(file)
  if (await isOurs(file.pid, dataDir)) {
    if (file.status === 'ready' && !(await exists(socket))) await stopPostmaster(dataDir)
    return
  }
  await rm(`${socket}.lock`, { force: true })
  const path = join(dataDir, 'postmaster.pid')
  const text = await readFile(path, 'utf8')
  if (text.startsWith(`${file.pid}\n`)) await writePrivate(path, text.replace(/^\d+/, String(process.pid)), user)
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}
