import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../errors.js'
import { Secret } from '../secret.js'
import { takeLock } from './lock-file.js'
import { mysqlBinaries } from './mysql-binaries.js'
import { findMysql, initMysql, type MysqlProcess, startMysql } from './mysql-server.js'
import { findPlace } from './place.js'
import { writePrivate } from './private.js'
import { CONTROL } from './server.js'
import { socketFolder } from './socket-folder.js'
import { ownerOf, type RunAs, unprivilegedUser } from './user.js'

/** A running private MariaDB or MySQL beside the embedded PostgreSQL, and the control login's way into it. */
export interface EmbeddedMysql {
  flavour: 'mariadb' | 'mysql'
  version: string
  host: '127.0.0.1'
  port: number
  pid: number
  dataDir: string
  logFile: string
  control: { login: string; password: Secret }
}

/** `mysql/server.json` (0600), made with the data folder beside it: there is never one without the other. */
interface MysqlRecord {
  flavour: EmbeddedMysql['flavour']
  version: string
  port: number
  socketDir: string
  passwords: { root: string; control: string }
}

export interface MysqlMaking {
  /** The value of PATH, to find the server in. */
  path: string
  report: (progress: string) => void
  /** The statements that give a control login its rights. */
  rights: (flavour: EmbeddedMysql['flavour'], login: string) => string[]
}

export const mysqlDataOf = (place: string): string => join(place, 'mysql', 'data')

/**
 * The running server of a home whose PostgreSQL runs; makes and starts it when needed. Any number of processes may call it
 * at once: one does the work, the others wait. TOOL_MISSING where neither MariaDB nor MySQL is on the machine.
 */
export async function embeddedMysql(home: string, making: MysqlMaking): Promise<EmbeddedMysql> {
  const place = await findPlace(home)
  if (place === undefined) throw new SaasctlError('EMBEDDED_FAILED', `There is no embedded server in ${home}.`)
  for (;;) {
    const record = await readRecord(place)
    const running = record && (await findMysql(mysqlDataOf(place), record.port))
    if (running) return describe(place, record, running)
    if (await takeLock(lockOf(place))) break
    await sleep(50)
  }
  try {
    return await start(place, making)
  } finally {
    await rm(lockOf(place), { force: true })
  }
}

export interface MysqlStatus {
  state: 'running' | 'stopped'
  flavour: EmbeddedMysql['flavour']
  version: string
  port: number
  pid: number | null
  logFile: string
}

/** How the private MariaDB or MySQL of a home stands, without starting it; undefined when there is none. */
export async function mysqlStatus(home: string): Promise<MysqlStatus | undefined> {
  const place = await findPlace(home)
  const record = place === undefined ? undefined : await readRecord(place)
  if (place === undefined || record === undefined) return undefined
  const { flavour, version, port } = record
  const running = await findMysql(mysqlDataOf(place), port)
  const state = running ? 'running' : 'stopped'
  return { state, flavour, version, port, pid: running?.pid ?? null, logFile: logOf(place) }
}

async function start(place: string, { path, report, rights }: MysqlMaking): Promise<EmbeddedMysql> {
  const root = await unprivilegedUser()
  const record = (await readRecord(place)) ?? (await make(place, root, { path, report, rights }))
  const found = (await mysqlBinaries(path, root)).find(({ flavour }) => flavour === record.flavour)
  if (!found) throw missing()
  const dataDir = mysqlDataOf(place)
  const user = await ownerOf(dataDir, root)
  report(`Starting the embedded ${nameOf(found)}.`)
  const socketDir = await socketFolder(place, user, record.socketDir)
  const running = await startMysql({
    binaries: found,
    user,
    dataDir,
    socket: join(socketDir, 'mysql.sock'),
    logFile: logOf(place),
    port: record.port || undefined
  })
  const now = { ...record, version: found.version, socketDir, port: running.port }
  await writePrivate(join(place, 'mysql', 'server.json'), `${JSON.stringify(now, undefined, 2)}\n`, undefined)
  return describe(place, now, running)
}

/** Makes data and record under a name of their own and renames the whole: a half-made one is found by nobody. */
async function make(
  place: string,
  user: RunAs | undefined,
  { path, report, rights }: MysqlMaking
): Promise<MysqlRecord> {
  const [binaries] = await mysqlBinaries(path, user)
  if (!binaries) throw missing()
  report(`Making a private ${nameOf(binaries)} in ${place} (once).`)
  const building = await mkdtemp(join(place, 'mysql.new.'))
  try {
    await chmod(building, 0o711)
    const passwords = { root: newPassword(), control: newPassword() }
    const { flavour, version } = binaries
    await initMysql({ binaries, user, dataDir: join(building, 'data') }, [
      `ALTER USER root@localhost IDENTIFIED BY '${passwords.root}'`,
      // Through the socket alone, which lies in a private folder.
      `DROP USER IF EXISTS root@'127.0.0.1', root@'::1', root@'${hostname().toLowerCase()}'`,
      `CREATE USER ${CONTROL}@'%' IDENTIFIED BY '${passwords.control}'`,
      ...rights(flavour, CONTROL)
    ])
    const record: MysqlRecord = { flavour, version, port: 0, socketDir: '', passwords }
    await writePrivate(join(building, 'server.json'), `${JSON.stringify(record, undefined, 2)}\n`, undefined)
    await rename(building, join(place, 'mysql'))
    return record
  } finally {
    await rm(building, { recursive: true, force: true })
  }
}

async function readRecord(place: string): Promise<MysqlRecord | undefined> {
  const text = await readFile(join(place, 'mysql', 'server.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return text === undefined ? undefined : (JSON.parse(text) as MysqlRecord)
}

function describe(
  place: string,
  { flavour, version, passwords }: MysqlRecord,
  { pid, port }: MysqlProcess
): EmbeddedMysql {
  const control = { login: CONTROL, password: new Secret(passwords.control) }
  return { flavour, version, host: '127.0.0.1', port, pid, dataDir: mysqlDataOf(place), logFile: logOf(place), control }
}

function missing(): SaasctlError {
  return new SaasctlError('TOOL_MISSING', 'Neither MariaDB (10.11 or newer) nor MySQL 8 is on this machine.', {
    hint: 'Install mariadb-server; its service need not run.'
  })
}

const nameOf = ({ flavour, version }: { flavour: EmbeddedMysql['flavour']; version: string }): string =>
  `${flavour === 'mariadb' ? 'MariaDB' : 'MySQL'} ${version}`

const lockOf = (place: string): string => join(place, 'mysql.starting')

const logOf = (place: string): string => join(place, 'mysql.log')

const newPassword = (): string => randomBytes(24).toString('base64url')
