import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../errors.js'
import type { Binaries } from './binaries.js'
import { environment, isAlive, lastLines, run } from './programs.js'
import type { RunAs } from './user.js'

/** What a running server wrote into `postmaster.pid`: the truth about its port and socket. */
export interface Postmaster {
  pid: number
  port: number
  socketDir: string
}

interface PidFile extends Postmaster {
  status: string
}

/**
 * The server that runs on this data folder, or undefined. Asks its socket, not its pid: a pid may belong to a stranger
 * after a reboot, while only the server itself listens in its private folder. About 0.5 ms, no process is started.
 */
export async function findPostmaster(dataDir: string): Promise<Postmaster | undefined> {
  const file = await readPidFile(dataDir)
  if (file?.status !== 'ready' || !(await answers(file))) return undefined
  return { pid: file.pid, port: file.port, socketDir: file.socketDir }
}

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
  let port = (await becomesFree(start.port)) ?? (await freePort())
  let said = ''
  while (Date.now() < deadline) {
    await forgetStranger(start.dataDir)
    const attempt = await tryStart(start, port, deadline)
    if ('pid' in attempt) return attempt
    said = attempt.said
    if (/could not create any TCP\/IP sockets/.test(said)) port = await freePort()
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
  const ended = end(child)
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

function end(child: ChildProcess): { happened: boolean; error?: string } {
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

/** Lines of `postmaster.pid`: pid, data folder, start time, port, socket folder, address, shared memory, status. */
async function readPidFile(dataDir: string): Promise<PidFile | undefined> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const [pid, , , port, socketDir, , , status] = text.split('\n')
  if (!pid || !socketDir) return undefined
  return { pid: Number(pid), port: Number(port), socketDir, status: status?.trim() ?? '' }
}

function answers({ socketDir, port }: Postmaster): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(join(socketDir, `.s.PGSQL.${port}`))
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

/**
 * A killed server leaves files with its pid, and PostgreSQL does not start while a process of the same user has that pid:
 * always so in a container that came up again, where pids repeat.
 */
async function forgetStranger(dataDir: string): Promise<void> {
  const file = await readPidFile(dataDir)
  if (!file || !isAlive(file.pid) || (await isOurs(file.pid, dataDir))) return
  await rm(join(file.socketDir, `.s.PGSQL.${file.port}.lock`), { force: true })
  await rm(join(dataDir, 'postmaster.pid'), { force: true })
}

/** Also false for a server that ended and is kept as a zombie by an init that collects nobody, as in many containers. */
async function isOurs(pid: number, dataDir: string): Promise<boolean> {
  const command =
    process.platform === 'linux'
      ? readFile(`/proc/${pid}/cmdline`, 'utf8')
      : run('/bin/ps', ['-o', 'command=', '-p', String(pid)], { user: undefined })
  return (await command.catch(() => '')).includes(dataDir)
}

/** A server that was killed a moment ago still holds its port. */
async function becomesFree(port: number | undefined): Promise<number | undefined> {
  if (port === undefined) return undefined
  for (let attempt = 0; attempt < 50; attempt += 1) {
    if (await isFree(port)) return port
    await sleep(20)
  }
  return undefined
}

/** Below the ports that systems hand out to outgoing connections (32768 and up), which could take ours while we are stopped. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
