import { listBackups } from '../../../src/catalog/backups.js'
import type { Saasctl } from '../../../src/saasctl.js'

/** What must be true of catalog and store when nothing is at work: each backup is whole, and there is nothing else. */
export async function auditBackups({ catalog, stores }: Saasctl): Promise<string[]> {
  const rows = await listBackups(catalog, {
    statuses: ['making', 'complete', 'failed', 'removing', 'removed'],
    limit: 10_000
  })
  const unsettled = rows.filter(({ status }) => status === 'making' || status === 'removing')
  const kept = rows.filter(({ status }) => status === 'complete').flatMap(row => [row.object, row.manifest])
  const store = await stores.open(stores.usual)
  const found: string[] = []
  for await (const { name } of store.list('backups/')) found.push(name)
  return [
    ...unsettled.map(({ id, status }) => `Backup ${id} is ${status} and nothing works on it.`),
    ...kept.filter(name => !found.includes(name ?? '')).map(name => `The store has lost ${name}.`),
    ...found.filter(name => !kept.includes(name)).map(name => `The store has ${name}, which no backup is made of.`),
    ...((await store.sweep('backups/', new Date(Date.now() + 60_000))) > 0
      ? ['The store had half-written objects.']
      : [])
  ]
}
