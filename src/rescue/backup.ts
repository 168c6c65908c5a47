import type { Json } from '../canonical.js'
import type { Queryable } from '../catalog/catalog.js'
import { catalogContents } from '../catalog/contents.js'
import { readInstance } from '../catalog/instance.js'
import type { OperationRow } from '../catalog/operations.js'
import { catalogBackupIsDue, lockCatalogBackups, markCatalogBackedUp } from '../catalog/rescue.js'
import { uuidv7 } from '../names.js'
import type { Context, Kind, Tools, Work } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import type { Wait } from '../tenants/work.js'
import { packageVersion } from '../version.js'
import { sealCatalog } from './archive.js'
import { objectOf, removeCatalog, thinOut } from './stored.js'

interface CatalogInput extends Record<string, Json> {
  backupId: string
  store: string
  keep: number
}

interface CatalogWork extends Work {
  tools: Tools
  operation: OperationRow<CatalogInput>
  made: { object: string; bytes: number } | undefined
}

/** One backup of the catalog itself. Killed anywhere, it begins anew under another name and removes what was left. */
export const catalogBackup: Kind<CatalogInput, CatalogWork> = {
  name: 'catalog.backup',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'write',
  open: async (tools, operation) => ({ tools, operation, made: undefined }),
  steps: [
    {
      name: 'write',
      act: write,
      commit: async (tx, { made, operation }) => {
        if (!made) return
        await markCatalogBackedUp(tx)
        const payload = { backup: operation.input.backupId, ...made }
        tx.audit({ chain: 'catalog', action: 'catalog.backed-up', subject: 'catalog', payload })
      },
      // As far as the store lets us: one that refuses everything is no reason to try for ever. A later attempt thins out.
      undo: async ({ tools, operation }) => {
        const { store, backupId } = operation.input
        await removeCatalog(await tools.stores.open(store), backupId).catch(() => {})
      }
    },
    {
      name: 'thin out',
      act: async ({ tools, operation }) => {
        await thinOut(await tools.stores.open(operation.input.store), operation.input.keep)
      }
    }
  ],
  result: ({ operation, made }) => ({ backupId: operation.input.backupId, bytes: made?.bytes ?? null })
}

async function write(work: CatalogWork, _progress: (sentence: string) => void, signal: AbortSignal): Promise<void> {
  const { tools, operation } = work
  const { backupId: id, store: url } = operation.input
  const store = await tools.stores.open(url)
  await removeCatalog(store, id)
  const object = objectOf(id, operation.epoch)
  const { bytes } = await tools.catalog.snapshot(async snapshot => {
    const { schemaVersion, incarnation } = await readInstance(snapshot)
    const about = { id, takenAt: new Date().toISOString(), program: packageVersion(), schemaVersion, incarnation }
    return store.put(object, await sealCatalog(tools.keys, about, catalogContents(snapshot)), { signal })
  })
  work.made = { object: `${store.url}/${object}`, bytes }
}

export interface CatalogBackupOptions extends Wait {
  /** The store's address; the usual one unless given. */
  to?: string | undefined
  /** How many the store keeps, this one counted in. */
  keep: number
}

/** Backs the catalog up, encrypted with a key that comes from the control master. Gives the operation as it ended. */
export async function backupCatalog(context: Context, options: CatalogBackupOptions): Promise<OperationRow> {
  const started = await promise(context, options, async () => true)
  if (!started) throw new Error('a backup that is asked for is always wanted')
  return options.wait ? context.operations.follow(started, options) : started
}

/** Promises one when none was made for so long; called once a minute by every worker, of which one is first. */
export async function catalogBackupDue(context: Context, everyMs: number, keep: number): Promise<boolean> {
  if (!(await catalogBackupIsDue(context.catalog, everyMs / 1000))) return false
  const started = await promise(context, { wait: false, keep }, tx => catalogBackupIsDue(tx, everyMs / 1000))
  return started !== undefined
}

async function promise(
  context: Context,
  { to, keep, wait }: CatalogBackupOptions,
  wanted: (tx: Queryable) => Promise<boolean>
): Promise<OperationRow | undefined> {
  const { url: store } = await context.stores.open(to ?? context.stores.usual)
  const claim = await context.operations.claim(wait)
  return context.catalog.transaction(context.actor, async tx => {
    await lockCatalogBackups(tx)
    if (!(await wanted(tx))) return undefined
    const input = { backupId: uuidv7(), store, keep }
    tx.audit({
      chain: 'catalog',
      action: 'catalog.backup',
      subject: 'catalog',
      payload: { backup: input.backupId, store }
    })
    return startOperation(tx, { kind: catalogBackup, input, subject: 'catalog:backup', actor: context.actor, claim })
  })
}
