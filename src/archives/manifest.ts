import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { canonical, type Json } from '../canonical.js'
import type { EngineName } from '../engines/engine.js'
import { open, type Place, seal } from '../secrets/envelope.js'
import type { Compression } from './compress.js'
import { damaged } from './frames.js'
import type { TenantKey } from './tenant-key.js'

/** All that is known of one backup, kept beside it in the store: enough to bring the tenant back when the catalog is lost. */
export interface Manifest {
  v: 1
  backup: string
  takenAt: string
  /** The version of saasctl that wrote it. */
  program: string
  tenant: {
    id: string
    slug: string
    displayName: string | null
    plan: string
    template: string
    templateVersion: number
    labels: Record<string, string>
    region: string | null
  }
  database: { id: string; name: string; engine: EngineName; server: string; serverVersion: string }
  /** What `restore` must be told, and what made it. */
  format: string
  tool: string
  compression: Compression
  object: { name: string; bytes: number; sha256: string; salt: string }
  /** Of each table, in the snapshot that was dumped. */
  rows: Record<string, number>
  fingerprint: string
  migration: string | null
  migrationsChecksum: string | null
  migrations: Array<{ name: string; checksum: string | null }>
}

const place = (backup: string): Place => ({ owner: backup, purpose: 'backup manifest', version: 1 })

/** Sealed, not only signed: names of customers and tables, and how much they have, are nobody's business in a store. */
export function sealManifest(key: TenantKey, manifest: Manifest): Buffer {
  return seal(keyOf(key), place(manifest.backup), canonical(manifest as unknown as Json))
}

/** BACKUP_DAMAGED when one bit of it is not what was written, or it is another backup's. */
export function openManifest(key: TenantKey, backup: string, sealed: Buffer): Manifest {
  let text: string
  try {
    text = open(keyOf(key), place(backup), sealed).toString('utf8')
  } catch (error) {
    throw damaged(backup, 'its manifest does not open', error)
  }
  return JSON.parse(text) as Manifest
}

function keyOf({ bytes }: TenantKey): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', bytes, '', 'saasctl/1/backup manifest', 32)))
}
