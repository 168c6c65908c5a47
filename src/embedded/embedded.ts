import { rename, rmdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SaasctlError } from '../errors.js'
import { Secret } from '../secret.js'
import { chooseBinaries } from './choose-binaries.js'
import { ADMIN, CATALOG, CONTROL, defaultConfig, hba, SUPERUSER, writeConfig } from './cluster.js'
import { type ClusterRecord, makeCluster, readRecord, writeRecord } from './make-cluster.js'
import { dataDirOf, findPlace, makePlace, ownerOf, removePlace, socketFolder } from './place.js'
import { findPostmaster, type Postmaster, startPostmaster, stopPostmaster } from './postmaster.js'
import { reachable, unprivilegedUser } from './user.js'

interface Login {
  login: string
  password: Secret
}

/** A running embedded server and the ways into it. */
export interface EmbeddedServer {
  version: string
  major: number
  host: '127.0.0.1'
  port: number
  pid: number
  dataDir: string
  binDir: string
  logFile: string
  /** Lets the superuser in, and nobody else; TCP lets everybody else in, and never the superuser. */
  socketDir: string
  superuser: Login
  /** The database for the catalog, and the login that owns it and migrates it (CREATEROLE). */
  catalog: { database: string; owner: Login }
  /** For tenant databases on this server; enters database `postgres`. CREATEDB, CREATEROLE, pg_signal_backend. */
  control: Login
}

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

const LOG_BYTES = 10_000_000

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
    stop: () => readably(folder, () => stop(folder)),
    reset: () =>
      readably(folder, async () => {
        await stop(folder)
        await removePlace(folder)
      })
  }
}

async function findRunning(home: string): Promise<EmbeddedServer | undefined> {
  const place = await findPlace(home)
  if (place === undefined) return undefined
  const [record, postmaster] = await Promise.all([readRecord(place), findPostmaster(dataDirOf(place))])
  return record && postmaster && describe(place, record, postmaster)
}

async function start(home: string, path: string, report: (progress: string) => void): Promise<EmbeddedServer> {
  const root = await unprivilegedUser()
  const place = await makePlace(home, root)
  const before = await readRecord(place)
  const binaries = await chooseBinaries({ path, user: root, copies: place, major: before?.major })
  if (!before) {
    report(`Making a private PostgreSQL ${binaries.version} in ${place} (once).`)
    await makeCluster(place, binaries, root)
  }
  const record = before ?? (await readRecord(place))
  const dataDir = dataDirOf(place)
  const user = await ownerOf(dataDir, root)
  if (!record || !(await reachable(dataDir, user))) throw unreachable(dataDir)

  report(`Starting the embedded PostgreSQL ${binaries.version}.`)
  await writeConfig(dataDir, user, defaultConfig(binaries.major), hba)
  const socketDir = await socketFolder(place, user, record.socketDir)
  const logFile = await freshLog(place)
  const port = record.port || undefined
  const postmaster = await startPostmaster({ binaries, user, dataDir, socketDir, logFile, port })
  if (port && postmaster.port !== port) report(`Port ${port} was taken; it listens on ${postmaster.port} now.`)
  const { version, binDir } = binaries
  const now = { ...record, version, binDir, socketDir: postmaster.socketDir, port: postmaster.port }
  await writeRecord(place, now)
  return describe(place, now, postmaster)
}

async function status(home: string): Promise<EmbeddedStatus> {
  const server = await findRunning(home)
  if (server) return { state: 'running', server }
  const place = await findPlace(home)
  const record = place && (await readRecord(place))
  if (!record) return { state: 'absent' }
  return { state: 'stopped', version: record.version, dataDir: dataDirOf(place), logFile: logOf(place) }
}

async function stop(home: string): Promise<boolean> {
  const place = await findPlace(home)
  if (place === undefined) return false
  const stopped = await stopPostmaster(dataDirOf(place))
  const record = await readRecord(place)
  if (record?.socketDir && !record.socketDir.startsWith(place)) await rmdir(record.socketDir).catch(() => undefined)
  return stopped
}

function describe(place: string, record: ClusterRecord, { pid, port, socketDir }: Postmaster): EmbeddedServer {
  const { version, major, binDir, passwords } = record
  const login = (name: string, password: string) => ({ login: name, password: new Secret(password) })
  return {
    version,
    major,
    host: '127.0.0.1',
    port,
    pid,
    dataDir: dataDirOf(place),
    binDir,
    logFile: logOf(place),
    socketDir,
    superuser: login(SUPERUSER, passwords.superuser),
    catalog: { database: CATALOG, owner: login(ADMIN, passwords.admin) },
    control: login(CONTROL, passwords.control)
  }
}

function logOf(place: string): string {
  return join(place, 'server.log')
}

/** Keeps one older log. */
async function freshLog(place: string): Promise<string> {
  const log = logOf(place)
  const { size } = await stat(log).catch(() => ({ size: 0 }))
  if (size > LOG_BYTES) await rename(log, `${log}.1`)
  return log
}

function unreachable(dataDir: string): SaasctlError {
  return new SaasctlError('EMBEDDED_FAILED', `The server's user cannot pass through to ${dataDir}.`, {
    hint: 'PostgreSQL does not run as root: give others the right to enter (chmod o+x) each folder on the way.'
  })
}

/** A home that belongs to somebody else is the usual reason, after saasctl ran as root once. */
async function readably<T>(home: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw cause
    throw new SaasctlError('EMBEDDED_FAILED', `The folder ${home} of the embedded server is not ours to use.`, {
      hint: `Run saasctl as the user that made it, or give it to yours: chown -R "$(id -un)" ${home}`,
      cause
    })
  }
}
