import { resolve } from 'node:path'
import { SaasctlError } from '../errors.js'
import { systemReason } from '../system-reason.js'
import { findPostmaster } from './pid-file.js'
import { dataDirOf, findPlace } from './place.js'
import { readRecord } from './record.js'
import { describeServer, type EmbeddedServer, logOf } from './server.js'

export type { EmbeddedServer }

export type EmbeddedStatus =
  | { state: 'absent' }
  | { state: 'stopped'; version: string; dataDir: string; logFile: string }
  | { state: 'running'; server: EmbeddedServer }

/** A private PostgreSQL under one home folder. Everything may be called at once by any number of processes. */
export interface Embedded {
  /**
   * The running server; makes and starts it when needed, and reports that. Its port is kept unless somebody took it while
   * the server was down: who stored the port compares. Fails with EMBEDDED_FAILED.
   */
  ensure(report?: (progress: string) => void): Promise<EmbeddedServer>
  status(): Promise<EmbeddedStatus>
  /** Returns when the server is gone; false when it was not running. */
  stop(): Promise<boolean>
  /** Stops the server and deletes all its databases. A second time is OK. */
  reset(): Promise<void>
}

/**
 * The embedded server of a home folder (`.saasctl`). `path` is the value of PATH, to find a PostgreSQL in.
 * Nothing is touched before the first call of a method.
 */
export function embedded(home: string, { path }: { path: string }): Embedded {
  const folder = resolve(home)
  let starting: Promise<EmbeddedServer> | undefined
  return {
    ensure: (report = () => undefined) =>
      readably(folder, async () => {
        const running = await findRunning(folder)
        if (running) return running
        starting ??= start(folder, path, report).finally(() => (starting = undefined))
        return await starting
      }),
    status: () => readably(folder, () => status(folder)),
    stop: () => readably(folder, async () => (await import('./stop.js')).stop(folder)),
    reset: () => readably(folder, async () => (await import('./stop.js')).reset(folder))
  }
}

/** Loaded when used: a running server is found in 1 ms, and the rest takes 8 ms to load. */
async function start(...args: Parameters<typeof import('./start.js').start>): Promise<EmbeddedServer> {
  return (await import('./start.js')).start(...args)
}

async function findRunning(home: string): Promise<EmbeddedServer | undefined> {
  const place = await findPlace(home)
  if (place === undefined) return undefined
  const [record, postmaster] = await Promise.all([readRecord(place), findPostmaster(dataDirOf(place))])
  return record && postmaster && describeServer(place, record, postmaster)
}

async function status(home: string): Promise<EmbeddedStatus> {
  const server = await findRunning(home)
  if (server) return { state: 'running', server }
  const place = await findPlace(home)
  const record = place && (await readRecord(place))
  if (!record) return { state: 'absent' }
  return { state: 'stopped', version: record.version, dataDir: dataDirOf(place), logFile: logOf(place) }
}

const foreign = new Set(['EACCES', 'EPERM'])

/** A home that belongs to somebody else is the usual reason, after saasctl ran as root once. */
async function readably<T>(home: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException
    if (cause instanceof SaasctlError || error.syscall === undefined) throw cause
    if (foreign.has(error.code ?? ''))
      throw new SaasctlError('EMBEDDED_FAILED', `The folder ${home} of the embedded server is not ours to use.`, {
        hint: `Run saasctl as the user that made it, or give it to yours: chown -R "$(id -un)" ${home}`,
        cause
      })
    throw new SaasctlError(
      'EMBEDDED_FAILED',
      `The folder ${home} of the embedded server cannot be used: ${systemReason(error)}.`,
      { hint: 'Make it writable, with some 100 MB of room, or name another with --home or SAASCTL_HOME.', cause }
    )
  }
}
