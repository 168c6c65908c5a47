import type { Readable } from 'node:stream'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** A whole object, as it is listed. */
export interface StoredObject {
  name: string
  bytes: number
  at: Date
}

export interface PutOptions {
  signal?: AbortSignal | undefined
  /** About how many bytes will come; a store that must know the size of its parts beforehand makes them fit. */
  expectedBytes?: number | undefined
}

/** The first and the last byte to read, counted from 0, both included. */
export interface Range {
  start: number
  end?: number
}

/**
 * Where backups and exports are kept. An object has its name only when all of it is there and will stay: a half-written one
 * is never listed and never read. Names are made of `objectName`'s characters; no name leads out of the store.
 * Errors: STORE_UNREACHABLE (retryable), STORE_FULL, STORE_REFUSED, STORE_MISSING; what the stream itself fails with is
 * passed on as it is.
 */
export interface Store {
  /** Its address without a secret: `file:///srv/backups`, `s3://bucket/prefix`. `openStore` opens it again. */
  readonly url: string
  /** Keeps the stream's bytes under the name, in place of what was there. When it returns, they survive a power cut. */
  put(name: string, content: Readable, options?: PutOptions): Promise<{ bytes: number }>
  /** STORE_MISSING comes from the call; what goes wrong later destroys the stream. */
  get(name: string, range?: Range): Promise<Readable>
  /** What there is under the prefix, a part of a name that ends at a `/` or is empty, in the order of names. */
  list(prefix: string): AsyncIterable<StoredObject>
  /** What is already gone is OK. */
  remove(name: string): Promise<void>
  /** Removes what writers that died before `before` left unfinished under the prefix, and says how many that were. */
  sweep(prefix: string, before: Date): Promise<number>
}

/** Stores by their addresses, each opened when it is first needed. */
export interface Stores {
  /** Where new objects go. */
  readonly usual: string
  open(url: string): Promise<Store>
}

const PART = '[a-z0-9][a-z0-9_-]*(?:\\.[a-z0-9_-]+)*'
const NAME = new RegExp(`^${PART}(?:/${PART})*$`)

/** Refuses a name that could leave the store, hide in it, or mean something else to another kind of store. */
export function objectName(name: string): string {
  if (name.length <= 512 && NAME.test(name)) return name
  throw new SaasctlError('INVALID_INPUT', `${quoteInput(name)} cannot be the name of an object in a store.`, {
    hint: 'Use a-z, 0-9, dashes, underscores and single dots, with slashes between folders.'
  })
}

/** A prefix is empty, or a name with a slash at its end. */
export function objectPrefix(prefix: string): string {
  if (prefix !== '') objectName(prefix.endsWith('/') ? prefix.slice(0, -1) : `${prefix}/`)
  return prefix
}

/** Small objects, such as manifests. Refuses one of more than `limit` bytes before it is in memory. */
export async function readWhole(store: Store, name: string, limit = 64 * 2 ** 20): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of await store.get(name)) {
    bytes += part.length
    if (bytes > limit) {
      throw new SaasctlError('STORE_REFUSED', `${name} in ${store.url} is larger than ${limit} bytes.`, {
        hint: 'saasctl wrote no such object; find out who did.'
      })
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Whether an object that is not empty has this name. */
export async function holds(store: Store, name: string): Promise<boolean> {
  try {
    const content = await store.get(name, { start: 0, end: 0 })
    content.destroy()
    return true
  } catch (error) {
    if (asSaasctlError(error).code === 'STORE_MISSING') return false
    throw error
  }
}
