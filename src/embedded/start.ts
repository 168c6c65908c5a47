import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SaasctlError } from '../errors.js'
import { chooseBinaries } from './choose-binaries.js'
import { defaultConfig, hba, writeConfig } from './cluster.js'
import { makeCluster } from './make-cluster.js'
import { makePlace } from './make-place.js'
import { dataDirOf } from './place.js'
import { startPostmaster } from './postmaster.js'
import { type ClusterRecord, readRecord, writeRecord } from './record.js'
import { describeServer, type EmbeddedServer, logOf } from './server.js'
import { socketFolder } from './socket-folder.js'
import { ownerOf, type RunAs, reachable, unprivilegedUser } from './user.js'

const LOG_BYTES = 10_000_000

/** Starts the server of a home folder, and makes it first where there is none. */
export async function start(home: string, path: string, report: (progress: string) => void): Promise<EmbeddedServer> {
  const root = await unprivilegedUser()
  const place = await makePlace(home, root)
  const record = (await readRecord(place)) ?? (await make(place, path, root, report))
  const binaries = await chooseBinaries({ path, user: root, copies: place, major: record.major })
  const dataDir = dataDirOf(place)
  const user = await ownerOf(dataDir, root)
  if (!(await reachable(dataDir, user))) throw unreachable(dataDir)

  report(`Starting the embedded PostgreSQL ${binaries.version}.`)
  await writeConfig(dataDir, user, defaultConfig(binaries.major), hba)
  const socketDir = await socketFolder(place, user, record.socketDir)
  const logFile = await freshLog(place)
  const port = record.port || undefined
  const postmaster = await startPostmaster({ binaries, user, dataDir, socketDir, logFile, port })
  if (port && postmaster.port !== port) report(`Port ${port} was taken; it listens on ${postmaster.port} now.`)
  const { version, binDir } = binaries
  const now = { ...record, version, binDir, socketDir: postmaster.socketDir, port: postmaster.port }
  await writeRecord(join(place, 'cluster'), now)
  return describeServer(place, now, postmaster)
}

async function make(
  place: string,
  path: string,
  user: RunAs | undefined,
  report: (progress: string) => void
): Promise<ClusterRecord> {
  const binaries = await chooseBinaries({ path, user, copies: place })
  report(`Making a private PostgreSQL ${binaries.version} in ${place} (once).`)
  return await makeCluster(place, binaries, user)
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
