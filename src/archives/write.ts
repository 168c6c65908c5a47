import { pipeline, type Readable } from 'node:stream'
import type { Store } from '../stores/store.js'
import { type Compression, compressor } from './compress.js'
import { FrameSealer } from './frames.js'
import type { TenantKey } from './tenant-key.js'

export interface ArchiveWish {
  store: Store
  /** The object's name. */
  name: string
  key: TenantKey
  backup: string
  compression: Compression
  signal: AbortSignal
  expectedBytes?: number | undefined
  /** How many bytes have been sealed so far; called for every frame. */
  onBytes?: (bytes: number) => void
}

export interface Archived {
  name: string
  bytes: number
  sha256: string
  salt: string
  compression: Compression
}

/**
 * Compresses as wished, encrypts and stores the stream: it touches no disk in clear, and memory stays flat.
 * Any failure closes the stream and leaves no object.
 */
export async function writeArchive(content: Readable, wish: ArchiveWish): Promise<Archived> {
  const { store, name, key, backup, compression, signal, expectedBytes, onBytes } = wish
  try {
    const sealer = new FrameSealer(key.bytes, backup, onBytes)
    // Who reads the sealer hears what went wrong.
    pipeline([content, ...compressor(compression), sealer], () => {})
    const { bytes } = await store.put(name, sealer, { signal, expectedBytes })
    return { name, bytes, sha256: sealer.sha256(), salt: sealer.salt.toString('hex'), compression }
  } catch (error) {
    content.destroy()
    throw error
  }
}
