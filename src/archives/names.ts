import type { Store } from '../stores/store.js'

/** Where all backups of a tenant are in a store. Ids alone: a store need not know who the customers are. */
export const folderOf = (tenantId: string) => `backups/${tenantId}/`

/**
 * What one attempt at a backup writes. Each has names of its own: what a process writes that was thought dead never takes
 * the place of what its successor has written.
 */
export function objectsOf(tenantId: string, backupId: string, epoch: number): { content: string; manifest: string } {
  const base = `${folderOf(tenantId)}${backupId}-${epoch}`
  return { content: `${base}.dump`, manifest: `${base}.manifest` }
}

/** Removes what all attempts at the backup have written, manifests first: content without one is no backup. */
export async function removeObjects(store: Store, tenantId: string, backupId: string): Promise<void> {
  const found: string[] = []
  for await (const { name } of store.list(folderOf(tenantId))) {
    if (name.startsWith(`${folderOf(tenantId)}${backupId}-`)) found.push(name)
  }
  const manifestsFirst = [...found].sort((a, b) => Number(b.endsWith('.manifest')) - Number(a.endsWith('.manifest')))
  for (const name of manifestsFirst) await store.remove(name)
  await store.sweep(folderOf(tenantId), new Date(Date.now() - ABANDONED_MS))
}

/**
 * The same after a failure, as far as the store lets us: one that is away must not keep its tenant busy. What is left then
 * is removed by the next prune.
 */
export async function takeBackObjects(store: Promise<Store>, tenantId: string, backupId: string): Promise<void> {
  await store.then(opened => removeObjects(opened, tenantId, backupId)).catch(() => {})
}

/** An upload that nobody finished in a day is nobody's. */
const ABANDONED_MS = 86_400_000
