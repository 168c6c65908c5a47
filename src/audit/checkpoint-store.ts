import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { Catalog } from '../catalog/catalog.js'
import type { CheckpointRow } from '../catalog/checkpoints.js'
import type { ChainHead } from '../catalog/trail.js'
import { SaasctlError } from '../errors.js'
import { holds, readWhole, type Store, type Stores } from '../stores/store.js'
import { type CheckpointFile, checkpointOf, headLines, parseHeads } from './checkpoint-file.js'

/**
 * Puts a checkpoint into a store as `checkpoint-12`, `checkpoint-12.sig` and `checkpoint-12.heads`, and gives the address of
 * the first, which comes last. INVALID_INPUT when the store has one of this number: what was kept is never written over, least
 * of all by a catalog that was put back and counts anew.
 */
export async function keepInStore(catalog: Catalog, row: CheckpointRow, store: Store): Promise<string> {
  const name = `checkpoint-${row.number}`
  const there = await holds(store, name)
  if (there) {
    throw new SaasctlError(
      'INVALID_INPUT',
      `The store ${store.url} has a ${name} already, and it is not written over.`,
      {
        hint: `Look whether this catalog was put back: saasctl audit verify --checkpoint ${addressIn(store, name)}`
      }
    )
  }
  await catalog.snapshot(snapshot => store.put(`${name}.heads`, Readable.from(headLines(snapshot, row.number))))
  await store.put(`${name}.sig`, Readable.from([row.signature]))
  await store.put(name, Readable.from([row.body]))
  return addressIn(store, name)
}

/** Whether this is the address of something in a store, and no path of this machine. */
export function isInStore(place: string): boolean {
  return /^(?:s3|file):\/\//.test(place)
}

/** The checkpoint at an address that `keepInStore` gave. STORE_MISSING when it is not there, or has no signature beside it. */
export async function fetchCheckpoint(stores: Stores, address: string): Promise<CheckpointFile> {
  const slash = address.lastIndexOf('/')
  const store = await stores.open(address.slice(0, slash))
  const name = address.slice(slash + 1)
  const [body, signature, listed] = await Promise.all([
    readWhole(store, name),
    readWhole(store, `${name}.sig`),
    holds(store, `${name}.heads`)
  ])
  return checkpointOf(address, String(body), signature, listed ? () => heads(store, `${name}.heads`) : undefined)
}

async function* heads(store: Store, name: string): AsyncGenerator<ChainHead> {
  const input = await store.get(name)
  yield* parseHeads(createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }), addressIn(store, name))
}

const addressIn = (store: Store, name: string) => `${store.url.replace(/\/$/, '')}/${name}`
