import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '../secret.js'
import type { Binaries } from './binaries.js'
import { makePrivate, writePrivate } from './private.js'
import { run } from './programs.js'
import { CATALOG, CONTROL, SUPERUSER } from './server.js'
import type { RunAs } from './user.js'

/**
 * Who may come in. The superuser only through the socket, which lies in a private folder. A tenant's logins only into the
 * database that has the name of their group: that holds even after somebody granted CONNECT to the public again.
 */
export const hba = `
local all postgres scram-sha-256
host all postgres all reject
host ${CATALOG} all 127.0.0.1/32 scram-sha-256
host postgres ${CONTROL} 127.0.0.1/32 scram-sha-256
host samerole all 127.0.0.1/32 scram-sha-256
host all all all reject
`

/** Many small databases on a developer's machine, and no statement or value of theirs in the log. */
export function defaultConfig(major: number): Record<string, string> {
  return {
    cluster_name: 'saasctl',
    max_connections: '200',
    shared_buffers: '64MB',
    max_wal_size: '512MB',
    checkpoint_timeout: '15min',
    max_locks_per_transaction: '128',
    // Each database is visited once per naptime: 200 of them would keep a worker busy at the default minute.
    autovacuum_naptime: '5min',
    jit: 'off',
    max_prepared_transactions: '0',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    log_line_prefix: '%m [%p] %q%u@%d ',
    log_statement: 'none',
    log_min_error_statement: 'panic',
    log_checkpoints: 'off',
    // After a crash, 296,000 files took 29-54 s to sync one by one, and 0.7 s with syncfs.
    ...(process.platform === 'linux' && { recovery_init_sync_method: 'syncfs' }),
    ...(major >= 18 && { io_method: 'sync' })
  }
}

export interface NewCluster {
  binaries: Binaries
  user: RunAs | undefined
  /** Must not exist; its parent must be reachable for the user. */
  dataDir: string
  superuser: Secret
  config: Record<string, string>
  hba: string
}

/** Makes the data folder of a cluster, synced to disk when `fsync` is on. Nothing is listening afterwards. */
export async function initCluster({ binaries, user, dataDir, superuser, config, hba }: NewCluster): Promise<void> {
  const pwfile = `${dataDir}.pw`
  await makePrivate(dataDir, user)
  await writePrivate(pwfile, superuser.reveal(), user)
  try {
    const initdb = join(binaries.binDir, 'initdb')
    // initdb syncs file by file as it goes; once at the end is three times as fast.
    await run(initdb, ['-D', dataDir, '--no-sync', `--pwfile=${pwfile}`, ...initdbArguments(binaries.major)], { user })
    await writeConfig(dataDir, user, config, hba)
    if (config['fsync'] !== 'off') await run(initdb, ['-D', dataDir, '--sync-only'], { user })
  } finally {
    await rm(pwfile, { force: true })
  }
}

/** The same sort order and character classes on every machine, whatever its locale: a copy of the data stays valid. */
export function initdbArguments(major: number): string[] {
  const ctype = process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8'
  const locale = ['--locale=C', `--lc-ctype=${ctype}`]
  const builtin = major >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : []
  return ['-U', SUPERUSER, '--auth=scram-sha-256', '-E', 'UTF8', '--data-checksums', ...locale, ...builtin]
}

/** Replaces `postgresql.conf` and `pg_hba.conf` whole. What a superuser set with ALTER SYSTEM stays and wins. */
export async function writeConfig(
  dataDir: string,
  user: RunAs | undefined,
  config: Record<string, string>,
  hba: string
): Promise<void> {
  const lines = Object.entries(config).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
  await writePrivate(join(dataDir, 'postgresql.conf'), lines.join(''), user)
  await writePrivate(join(dataDir, 'pg_hba.conf'), hba, user)
}

/**
 * Runs statements, one a line, as superuser in single-user mode: no server listens meanwhile, and a cluster is complete
 * before anybody can find it.
 */
export async function runSingleUser(
  { binaries, user, dataDir }: Pick<NewCluster, 'binaries' | 'user' | 'dataDir'>,
  statements: string[]
): Promise<void> {
  const settings = ['exit_on_error=on', 'log_min_error_statement=panic', 'log_min_messages=error']
  const args = ['--single', '-D', dataDir, ...settings.flatMap(setting => ['-c', setting]), 'postgres']
  await run(join(binaries.binDir, 'postgres'), args, { user, input: `${statements.join('\n')}\n` })
}
