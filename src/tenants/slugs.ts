import type { Queryable } from '../catalog/catalog.js'
import { quarantinedUntil } from '../catalog/tenants.js'
import { SaasctlError } from '../errors.js'
import type { Slug } from '../names.js'

export function slugTaken(slug: Slug): SaasctlError {
  return new SaasctlError('TENANT_EXISTS', `The slug "${slug}" is taken.`, {
    hint: `Look at its tenant with "saasctl tenant show ${slug}", or choose another.`
  })
}

/** A slug that somebody else has just left is kept back: late links and tokens of theirs must not reach the next holder. */
export async function checkQuarantine(q: Queryable, slug: Slug, tenantId: string): Promise<void> {
  const until = await quarantinedUntil(q, slug, tenantId)
  if (!until) return
  throw new SaasctlError(
    'SLUG_QUARANTINED',
    `The slug "${slug}" was freed lately and is kept back until ${until.toISOString()}.`,
    {
      hint: 'Choose another slug, or wait.'
    }
  )
}
