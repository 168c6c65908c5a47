import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Store, Stores } from '../stores/store.js'

/** Where all backups of catalogs are in a store. */
export const CATALOGS = 'catalog/'

const NAME = /^catalog\/([0-9a-f-]{36})-(\d+)\.backup$/

export const objectOf = (id: string, epoch: number) => `${CATALOGS}${id}-${epoch}.backup`

/** A line of `catalog backups`: known by its name alone, so that it is listed without a catalog and without a key. */
export interface StoredCatalog {
  id: string
  at: Date
  bytes: number
  /** What `catalog restore` takes. */
  url: string
  name: string
}

/** Newest first. */
export async function listCatalogs(store: Store): Promise<StoredCatalog[]> {
  const found: StoredCatalog[] = []
  for await (const { name, bytes, at } of store.list(CATALOGS)) {
    const id = NAME.exec(name)?.[1]
    if (id !== undefined) found.push({ id, at, bytes, url: `${store.url}/${name}`, name })
  }
  return found.sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : b.at.getTime() - a.at.getTime()))
}

/** An upload that nobody finished in a day is nobody's. */
const ABANDONED_MS = 86_400_000

/** Removes what is beyond the newest `keep`, and what uploads that were cut off have left. */
export async function thinOut(store: Store, keep: number): Promise<number> {
  const old = (await listCatalogs(store)).slice(Math.max(keep, 1))
  for (const { name } of old) await store.remove(name)
  await store.sweep(CATALOGS, new Date(Date.now() - ABANDONED_MS))
  return old.length
}

/** Removes what attempts at one backup have written. */
export async function removeCatalog(store: Store, id: string): Promise<void> {
  for (const stored of await listCatalogs(store)) if (stored.id === id) await store.remove(stored.name)
}

/** A backup by its id in the store, by its address, or as a file of this machine; the newest in the store without one. */
export async function readCatalog(stores: Stores, asked: string | undefined, storeUrl?: string): Promise<Readable> {
  if (asked !== undefined && /^(?:file|s3):\/\//.test(asked)) {
    const at = asked.lastIndexOf(`/${CATALOGS}`)
    if (at < 0 || !NAME.test(asked.slice(at + 1))) throw notFound(asked)
    return (await stores.open(asked.slice(0, at))).get(asked.slice(at + 1))
  }
  if (asked !== undefined && /[/.]/.test(asked)) return readFile(asked)
  const store = await stores.open(storeUrl ?? stores.usual)
  const found = (await listCatalogs(store)).find(({ id }) => asked === undefined || id === asked)
  if (!found) throw notFound(asked ?? store.url)
  return store.get(found.name)
}

async function readFile(path: string): Promise<Readable> {
  try {
    const file = await open(path, 'r')
    return createReadStream(path, { fd: file })
  } catch (cause) {
    throw new SaasctlError('INVALID_INPUT', `The file ${quoteInput(path)} cannot be read.`, {
      hint: 'Name a file that is there, or an id of "saasctl catalog backups".',
      cause
    })
  }
}

function notFound(where: string): SaasctlError {
  return new SaasctlError('BACKUP_NOT_FOUND', `There is no backup of a catalog in ${quoteInput(where)}.`, {
    hint: 'List them with "saasctl catalog backups", of another store with --from.'
  })
}
