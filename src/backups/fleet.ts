import { askForBackups, dueBackups, takeDueBackup } from '../catalog/backup-schedule.js'
import { asSaasctlError, type ErrorRecord, SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { type BackupOptions, backupTenant } from './backup.js'

/** What became of one tenant of a fleet backup. */
export interface FleetBackupLine {
  slug: string
  backup: string | null
  error: ErrorRecord | null
}

export interface FleetBackupOptions {
  perServer: number
  /** The wait of one tenant's backup, labelled with its slug. */
  wait(slug: string): BackupOptions
  onDone?: (line: FleetBackupLine, done: number, all: number) => void
  signal?: AbortSignal | undefined
}

/** How often somebody looks whether a server has room again, in milliseconds. */
const LOOK_MS = 200

export interface Wanted {
  tenantId: string
  slug: string
}

/**
 * Backs many tenants up, at most `perServer` at once on each server, what others do there counted in. They are put on the
 * schedule first: what this process no longer begins, the next worker does. One's failure stops no other.
 */
export async function backupFleet(
  context: Context,
  wanted: Wanted[],
  options: FleetBackupOptions
): Promise<FleetBackupLine[]> {
  const { catalog } = context
  await askForFleet(context, wanted)
  const left = new Map(wanted.map(one => [one.tenantId, one.slug]))
  const lines: FleetBackupLine[] = []
  const working = new Set<Promise<void>>()
  const failure: { error?: unknown } = {}
  while (left.size > 0 && !options.signal?.aborted && !failure.error) {
    const due = await dueBackups(catalog, { perServer: options.perServer, among: [...left.keys()] })
    for (const { tenantId } of due) {
      const slug = left.get(tenantId)
      if (slug === undefined) continue
      left.delete(tenantId)
      const work = lineOf(context, { tenantId, slug }, options)
        .then(line => {
          lines.push(line)
          options.onDone?.(line, lines.length, wanted.length)
        })
        .catch(error => {
          failure.error ??= error
        })
        .finally(() => working.delete(work))
      working.add(work)
    }
    if (due.length === 0) for (const line of await gone(context, left)) lines.push(line)
    await Promise.race([...working, new Promise(resolve => setTimeout(resolve, LOOK_MS))])
  }
  await Promise.all(working)
  if (failure.error) throw failure.error
  return lines.sort((a, b) => (a.slug < b.slug ? -1 : 1))
}

/** Puts the tenants' backups on the schedule, due at once: workers begin them within a minute. */
export async function askForFleet({ catalog, actor }: Context, wanted: Wanted[]): Promise<void> {
  await catalog.transaction(actor, async tx => {
    await askForBackups(
      tx,
      wanted.map(({ tenantId }) => tenantId)
    )
    tx.audit({ chain: 'backup', action: 'fleet.backup', subject: 'fleet', payload: { tenants: wanted.length } })
  })
}

async function lineOf(
  context: Context,
  { tenantId, slug }: Wanted,
  options: FleetBackupOptions
): Promise<FleetBackupLine> {
  try {
    const { backupId } = await backupTenant(context, tenantId, { ...options.wait(slug), stillWanted: takeDueBackup })
    return { slug, backup: backupId, error: null }
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    if (error.code.startsWith('CATALOG_')) throw error
    return { slug, backup: null, error: error.toJSON() }
  }
}

/** Those that are not due any more although nobody here has begun them: deleted meanwhile, or begun by a worker. */
async function gone({ catalog }: Context, left: Map<string, string>): Promise<FleetBackupLine[]> {
  const rows = await catalog.query<{ tenantId: string; status: string; backup: string | null }>(
    `select t.id as "tenantId", t.status, (select b.id from saasctl.backup b where b.tenant_id = t.id order by b.id desc limit 1) as backup
     from saasctl.tenant t left join saasctl.backup_schedule s on s.tenant_id = t.id
     where t.id = any($1) and (t.status not in ('active', 'suspended') or s.next_at is null or s.next_at > now())`,
    [[...left.keys()]]
  )
  return rows.map(({ tenantId, status, backup }) => {
    const slug = left.get(tenantId) ?? tenantId
    left.delete(tenantId)
    if (['active', 'suspended'].includes(status)) return { slug, backup, error: null }
    const error = new SaasctlError('TENANT_STATE', `Tenant ${slug} is ${status}; it was left as it is.`)
    return { slug, backup: null, error: error.toJSON() }
  })
}
