import { type FleetTenant, routersBelow } from '../catalog/fleet.js'
import { SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { RolloutWish } from './plan.js'
import type { Schemas } from './schema.js'

/**
 * A contract takes away what older programs use: it may run only when every selected tenant has all that comes before it,
 * and every router that lives says that it works with it. ROLLOUT_REFUSED names who does not.
 */
export async function checkContracts(
  { catalog }: Context,
  { to, allow }: Pick<RolloutWish, 'to' | 'allow'>,
  schemas: Schemas,
  tenants: FleetTenant[]
): Promise<void> {
  for (const [engine, schema] of schemas) {
    const end = to === null ? schema.files.length : schema.indexOf(to) + 1
    const mine = tenants.filter(tenant => tenant.engine === engine)
    for (const [index, file] of schema.files.slice(0, end).entries()) {
      if (file.options.phase !== 'contract') continue
      const lacking = mine.filter(tenant => (schema.position(tenant.migrationsChecksum) ?? index) <= index)
      if (lacking.length === 0) continue
      const behind = lacking.find(tenant => (schema.position(tenant.migrationsChecksum) ?? index) < index)
      if (behind && !allow.includes('contract.tenant')) {
        const before = schema.files[index - 1]?.name ?? 'nothing'
        throw new SaasctlError(
          'ROLLOUT_REFUSED',
          `${file.name} is a contract, and tenant ${behind.slug} does not have ${before} yet.`,
          { hint: `First roll out with --to ${before}, and deploy the program that no longer needs what goes.` }
        )
      }
      const routers = allow.includes('contract.router') ? [] : await routersBelow(catalog, file.name)
      if (routers.length > 0) {
        throw new SaasctlError(
          'ROLLOUT_REFUSED',
          `${file.name} is a contract, and routers are running that do not say they work with it: ${routers.join(', ')}.`,
          {
            hint: 'Deploy the program whose router says schema.newest of at least this migration; --allow contract.router goes on.'
          }
        )
      }
    }
  }
}
