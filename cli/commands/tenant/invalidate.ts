import type { Command } from 'commander'
import { onTenants } from '../../fleet.js'
import { verb } from '../../help.js'
import { chosenSlugs, type SelectorFlags, selectorFlags } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'

export function addInvalidate(noun: Command): void {
  const invalidate = verb(noun, 'invalidate [slugs...]', 'Void what applications have cached of a tenant', [
    'tenant invalidate acme',
    'tenant invalidate -l plan=pro  # many tenants; asks first'
  ])
  selectorFlags(invalidate).action(withSaasctl(invalidateTenants))
}

async function invalidateTenants(session: Session, options: SelectorFlags, slugs: string[]): Promise<void> {
  const { saasctl } = session
  const chosen = await chosenSlugs(saasctl, slugs, options, ['active', 'suspended'])
  const { invalidateCache } = await import('../../../src/tenants/invalidate.js')
  await onTenants(session, chosen, 'invalidated', async (_saasctl, slug) => ({
    tenant: await invalidateCache(saasctl, slug),
    operation: null
  }))
}
