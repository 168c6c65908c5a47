import { refuseRewound } from './catalog/instance.js'
import type { Saasctl } from './saasctl.js'
import { packageVersion } from './version.js'

export interface WorkerLine {
  level: 'info' | 'error'
  message: string
  operation?: string
}

/**
 * Works operations for everybody until `signal` aborts; then takes no more, lets those at work come to their next step's end
 * and returns. Any number of workers on any hosts share the work. CATALOG_STATE on one that was restored and not adopted.
 */
export async function runWorker(
  saasctl: Saasctl,
  options: { concurrency: number; log: (line: WorkerLine) => void; signal: AbortSignal }
): Promise<void> {
  await refuseRewound(saasctl.catalog)
  const [
    { default: pg },
    { startWorker },
    { purgeDue },
    { keepWarm },
    { dropReplaced },
    { backupsDue },
    { expireExports },
    { checkpointDue },
    { catalogBackupDue },
    { bindDue }
  ] = await Promise.all([
    import('pg'),
    import('./operations/worker.js'),
    import('./tenants/purge.js'),
    import('./templates/warm.js'),
    import('./restores/drop-replaced.js'),
    import('./backups/schedule.js'),
    import('./exports/expire.js'),
    import('./audit/checkpoint.js'),
    import('./rescue/backup.js'),
    import('./rescue/bind.js')
  ])
  const openPool = () => {
    const pool = new pg.Pool({
      connectionString: saasctl.catalogUrl,
      max: options.concurrency + 2,
      application_name: 'saasctl worker'
    })
    pool.on('error', () => {})
    pool.on('connect', client => client.on('error', () => {}))
    return pool
  }
  const worker = await startWorker(saasctl.catalog, openPool, saasctl.operations, {
    concurrency: options.concurrency,
    beatMs: saasctl.config.beat,
    version: packageVersion(),
    log: options.log,
    onMinute: async () => {
      const purged = await purgeDue(saasctl)
      if (purged > 0) options.log({ level: 'info', message: `${purged} tenants whose grace is over will be purged` })
      const dropped = await dropReplaced(saasctl)
      if (dropped > 0)
        options.log({ level: 'info', message: `${dropped} databases that restores have replaced will be dropped` })
      const expired = await expireExports(saasctl)
      if (expired > 0) options.log({ level: 'info', message: `${expired} exports whose time is over were removed` })
      const warmed = await keepWarm(saasctl)
      if (warmed > 0)
        options.log({ level: 'info', message: `${warmed} warm databases will be made or brought to head` })
      const { backups, drills, prunes } = await backupsDue(saasctl, saasctl.config.backupsPerServer)
      if (backups + drills + prunes > 0)
        options.log({ level: 'info', message: `${backups} backups, ${drills} drills and ${prunes} prunes are due` })
      if (await checkpointDue(saasctl, saasctl.config.checkpointEvery))
        options.log({ level: 'info', message: 'the audit trail has a new checkpoint' })
      await bindDue(saasctl)
      const { catalogBackupEvery, catalogBackupKeep } = saasctl.config
      if (await catalogBackupDue(saasctl, catalogBackupEvery, catalogBackupKeep))
        options.log({ level: 'info', message: 'a backup of the catalog is due' })
    }
  })
  options.log({ level: 'info', message: `worker ${worker.id} is ready` })
  await aborted(options.signal)
  options.log({ level: 'info', message: 'worker stops: finishing what it has begun' })
  await worker.stop()
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
