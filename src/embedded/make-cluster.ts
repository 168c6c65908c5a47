import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SaasctlError } from '../errors.js'
import { Secret } from '../secret.js'
import type { Binaries } from './binaries.js'
import { defaultConfig, hba, initCluster, runSingleUser } from './cluster.js'
import { isAlive } from './programs.js'
import { type ClusterRecord, readRecord, writeRecord } from './record.js'
import { ADMIN, CATALOG, CONTROL } from './server.js'
import type { RunAs } from './user.js'

/**
 * Makes data, logins and record under a name of their own and renames the whole: a half-made one is found by nobody. When
 * two processes do it at once the first to rename wins, and both go on with that one.
 */
export async function makeCluster(place: string, binaries: Binaries, user: RunAs | undefined): Promise<ClusterRecord> {
  await removeHalfMade(place)
  const building = await mkdtemp(join(place, `cluster.${process.pid}.`))
  try {
    await chmod(building, 0o711)
    const passwords = { superuser: newPassword(), admin: newPassword(), control: newPassword() }
    const cluster = {
      binaries,
      user,
      dataDir: join(building, 'data'),
      superuser: new Secret(passwords.superuser),
      config: defaultConfig(binaries.major),
      hba
    }
    await initCluster(cluster)
    await runSingleUser(cluster, furnishing(passwords, binaries.major))
    const { version, major, binDir } = binaries
    await writeRecord(building, { version, major, binDir, socketDir: '', port: 0, passwords })
    await rename(building, join(place, 'cluster')).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  const record = await readRecord(place)
  if (!record) throw new SaasctlError('EMBEDDED_FAILED', `The embedded server in ${place} was removed meanwhile.`)
  return record
}

/** With the rights that `server check` misses on a server without them. PostgreSQL 14 knows no rights on settings. */
function furnishing(passwords: ClusterRecord['passwords'], major: number): string[] {
  return [
    `create role ${ADMIN} login createrole password '${passwords.admin}'`,
    `create role ${CONTROL} login createdb createrole password '${passwords.control}'`,
    `grant pg_signal_backend to ${CONTROL}`,
    ...(major >= 15 ? [`grant set on parameter temp_file_limit to ${CONTROL}`] : []),
    `grant select on pg_catalog.pg_hba_file_rules to ${CONTROL}`,
    `grant execute on function pg_catalog.pg_hba_file_rules() to ${CONTROL}`,
    `create database ${CATALOG} owner ${ADMIN} template template0`,
    `revoke all on database ${CATALOG}, postgres, template1 from public`,
    `grant connect on database postgres to ${CONTROL}`
  ]
}

function newPassword(): string {
  return randomBytes(24).toString('base64url')
}

/** What a killed command left while making a cluster. Its pid is in the name; a living one is at work. */
async function removeHalfMade(place: string): Promise<void> {
  for (const name of await readdir(place)) {
    const pid = /^cluster\.(\d+)\./.exec(name)?.[1]
    if (pid && !isAlive(Number(pid))) await rm(join(place, name), { recursive: true, force: true })
  }
}
