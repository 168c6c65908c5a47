import { randomBytes } from 'node:crypto'
import { chmod, link, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../errors.js'
import { Secret } from '../secret.js'
import { mysqlBinaries } from './mysql-binaries.js'
import { findMysql, initMysql, type MysqlProcess, startMysql } from './mysql-server.js'
import { findPlace } from './place.js'
import { writePrivate } from './private.js'
import { isAlive } from './programs.js'
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
    if (await lock(place)) break
    await sleep(50)
  }
  try {
    return await start(place, making)
  } finally {
    await rm(lockOf(place), { force: true })
  }
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

const lockOf = (place: string): string => join(place, 'mysql.starting')

/** Whether this process may make and start it. The lock of a process that is gone is nobody's. */
async function lock(place: string): Promise<boolean> {
  const path = lockOf(place)
  const mine = `${path}.${process.pid}`
  try {
    // Linked, so that a lock is never there without its holder's pid in it.
    await writeFile(mine, String(process.pid), { mode: 0o600 })
    if (await linked(mine, path)) return true
    const holder = await readFile(path, 'utf8').catch(() => '')
    if (holder !== '' && !isAlive(Number(holder))) await removeStale(path, holder, mine)
    return false
  } finally {
    await rm(mine, { force: true })
  }
}

/** Another process may have removed the same one and taken the lock since we looked: that one is put back. */
async function removeStale(path: string, holder: string, aside: string): Promise<void> {
  try {
    await rename(path, aside)
    if ((await readFile(aside, 'utf8')) !== holder) await linked(aside, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
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

const logOf = (place: string): string => join(place, 'mysql.log')

const newPassword = (): string => randomBytes(24).toString('base64url')
