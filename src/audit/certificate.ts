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
  const subject = `tenant:${tenantId}`
  const wanted = { chain: 'erasure', action: 'erasure.certificate', subject, limit: 1 }
  const [event] = isUuid(tenantId) ? await listEvents(q, wanted) : []
  if (event?.payload) {
    const said = JSON.parse(event.payload) as { body: string; signature: string; keyId: string }
    return { ...said, signature: Buffer.from(said.signature, 'base64') }
  }
  throw new SaasctlError('EVENT_NOT_FOUND', `No tenant ${quoteInput(tenantId)} was erased.`, {
    hint: 'Give the tenant’s id, as "saasctl audit list --action erasure.certificate" shows it.'
  })
}
