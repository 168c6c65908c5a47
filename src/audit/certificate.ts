import type { Queryable } from '../catalog/catalog.js'
import { listEvents } from '../catalog/trail.js'
import { SaasctlError } from '../errors.js'
import { isUuid, quoteInput } from '../names.js'

export interface SignedCertificate {
  /** Exactly the bytes that were signed. */
  body: string
  /** The raw signature. */
  signature: Buffer
  keyId: string
}

/** The certificate of a tenant's erasure, by the tenant's id: its name is erased. EVENT_NOT_FOUND when it was not erased. */
export async function findCertificate(q: Queryable, tenantId: string): Promise<SignedCertificate> {
  const events = isUuid(tenantId)
    ? await listEvents(q, { chain: 'erasure', action: 'erasure.certificate', limit: 10_000 })
    : []
  for (const { body, payload } of events) {
    if (payload === null || !body.includes(`"subject":"tenant:${tenantId}"`)) continue
    const said = JSON.parse(payload) as { body: string; signature: string; keyId: string }
    return { ...said, signature: Buffer.from(said.signature, 'base64') }
  }
  throw new SaasctlError('EVENT_NOT_FOUND', `No tenant ${quoteInput(tenantId)} was erased.`, {
    hint: 'Give the tenant’s id, as "saasctl audit list --action erasure.certificate" shows it.'
  })
}
