import { canonical, type Json } from '../canonical.js'
import type { Bound } from '../catalog/bindings.js'
import type { TenantStatus } from '../catalog/tenants.js'
import { Secret } from '../secret.js'
import { type KeyStore, keyId } from '../secrets/keystore.js'
import { openSecret, sealSecret } from '../secrets/sealed-secrets.js'

/** Whose a database is, as it stands on the database's own server: enough to bring the tenant back when the catalog is lost. */
export interface BoundTenant {
  v: 1
  database: { id: string; name: string }
  tenant: {
    id: string
    slug: string
    displayName: string | null
    status: TenantStatus
    plan: string
    template: string
    templateVersion: number
    labels: Record<string, string>
    region: string | null
    revision: number
  }
  /** Since when the tenant has this database: of two, the later is the present one. */
  since: string
  /** The catalog that wrote it. */
  incarnation: string
}

const place = { owner: 'bindings', purpose: 'database binding', version: 1 }

/** Sealed with the control master: names of customers are nobody's business on a server, and who can write it is us. */
export async function sealBinding(keys: KeyStore, row: Bound, incarnation: string): Promise<string> {
  const { databaseId, database, tenantId, since } = row
  const { slug, displayName, status, plan, template, templateVersion, labels, region, revision } = row
  const bound: BoundTenant = {
    v: 1,
    database: { id: databaseId, name: database },
    tenant: { id: tenantId, slug, displayName, status, plan, template, templateVersion, labels, region, revision },
    since: since.toISOString(),
    incarnation
  }
  const sealed = await sealSecret(keys, 'control', place, new Secret(canonical(bound as unknown as Json)))
  return sealed.toString('base64')
}

/** Undefined for what another control plane wrote, and for what does not open: then it proves nothing. */
export async function openBinding(keys: KeyStore, text: string): Promise<BoundTenant | undefined> {
  const sealed = Buffer.from(text, 'base64')
  if (sealed.subarray(0, 8).toString('hex') !== keyId(await keys.read('control'))) return undefined
  try {
    return JSON.parse((await openSecret(keys, 'control', place, sealed)).reveal()) as BoundTenant
  } catch {
    return undefined
  }
}
