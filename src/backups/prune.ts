import { removeObjects } from '../archives/names.js'
import type { Json } from '../canonical.js'
import { tenantEvent } from '../catalog/audit.js'
import { backupsToRemove, expendableBackups, giveUpBackups, markRemoved } from '../catalog/backup-retention.js'
import type { ListedBackup } from '../catalog/backups.js'
import type { OperationRow } from '../catalog/operations.js'
import type { Context, Kind, Tools, Work } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { mustFind } from '../tenants/find.js'
import { refuseHeld } from '../tenants/hold.js'
import type { Wait } from '../tenants/work.js'

interface PruneInput extends Record<string, Json> {
  /** Null is every tenant. */
  tenantId: string | null
}

interface PruneWork extends Work {
  tools: Tools
  operation: OperationRow<PruneInput>
  removed: number
}

/** A day: an upload that is still unfinished after that is nobody's. */
const ABANDONED_MS = 86_400_000

/** Gives up what nothing keeps, in one transaction, and only then removes it from the stores. */
export const backupPrune: Kind<PruneInput, PruneWork> = {
  name: 'backup.prune',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'start',
  open: async (tools, operation) => ({ tools, operation, removed: 0 }),
  steps: [
    {
      name: 'give up',
      commit: async (tx, { operation }) => {
        for (const { id, tenantId } of await giveUpBackups(tx, operation.input.tenantId)) {
          tx.audit(tenantEvent(tenantId, 'backup.prune', { backup: id }))
        }
      }
    },
    { name: 'remove', act: remove }
  ],
  result: ({ removed }) => ({ removed })
}

/** One store that is away keeps nobody from clearing the others; its error comes last. */
async function remove(work: PruneWork, progress: (sentence: string) => void): Promise<void> {
  const { catalog, stores } = work.tools
  const failures: unknown[] = []
  for (const { id, tenantId, store } of await backupsToRemove(catalog)) {
    try {
      await removeObjects(await stores.open(store), tenantId, id)
      await markRemoved(catalog, id)
      work.removed += 1
      progress(`${work.removed} removed`)
    } catch (error) {
      failures.push(error)
    }
  }
  const usual = await stores.open(stores.usual)
  for (const prefix of ['backups/', 'exports/']) await usual.sweep(prefix, new Date(Date.now() - ABANDONED_MS))
  if (failures.length > 0) throw failures[0]
}

/** What a prune would remove now, of one tenant or of all that are not held. TENANT_HELD for the one that is. */
export async function planPrune({ catalog }: Context, slug: string | undefined): Promise<ListedBackup[]> {
  if (slug === undefined) return expendableBackups(catalog, null)
  const tenant = await mustFind(catalog, slug)
  await refuseHeld(catalog, tenant)
  return expendableBackups(catalog, tenant.id)
}

/**
 * Removes what nothing keeps. Gives the operation as it ended, or as it began when nobody waits. TENANT_HELD for a tenant that
 * is held; a prune of all leaves the held ones out.
 */
export async function pruneBackups(context: Context, slug: string | undefined, options: Wait): Promise<OperationRow> {
  const { catalog, actor, operations } = context
  const tenant = slug === undefined ? undefined : await mustFind(catalog, slug)
  const tenantId = tenant?.id ?? null
  const claim = await operations.claim(options.wait)
  const started = await catalog.transaction(actor, async tx => {
    if (tenant) await refuseHeld(tx, tenant)
    tx.audit({
      chain: 'backup',
      action: 'backup.prune',
      subject: tenantId ? `tenant:${tenantId}` : 'backup',
      payload: {}
    })
    return startOperation(tx, { kind: backupPrune, input: { tenantId }, subject: 'backup:prune', actor, claim })
  })
  return options.wait ? operations.follow(started, options) : started
}
