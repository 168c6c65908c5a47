import { listTenants } from '../src/catalog/tenants.js'
import { asSaasctlError } from '../src/errors.js'
import {
  createTenant,
  type NewTenant,
  purgeTenant,
  type Saasctl,
  SaasctlError,
  type TenantOutcome
} from '../src/index.js'

const labels = { story: 'npm-start' }

/** A tenant that the story may take away again. One that the reader has made, or has had, is not touched. */
export async function enterTenant(saasctl: Saasctl, tenant: NewTenant, template = 'standard'): Promise<TenantOutcome> {
  try {
    return await createTenant(saasctl, { ...tenant, labels }, { template }, { wait: true })
  } catch (thrown) {
    const { code, message } = asSaasctlError(thrown)
    if (code !== 'TENANT_EXISTS' && code !== 'SLUG_QUARANTINED') throw thrown
    throw new SaasctlError(code, `The story needs a tenant ${tenant.slug} of its own. ${message}`, {
      hint: 'Forget all of it with "npx saasctl dev reset" and tell it again, or tell it in another folder: SAASCTL_HOME=/tmp/story npm start',
      cause: thrown
    })
  }
}

/** Whoever is left from an earlier telling goes first. Tenants that the reader has made stay, whatever their names. */
export async function clearStage(saasctl: Saasctl): Promise<void> {
  const statuses = ['creating', 'active', 'suspended', 'deleted', 'purging'] as const
  const left = await listTenants(saasctl.catalog, { labels, statuses: [...statuses] }, { limit: 100 })
  for (const { id } of left)
    await purgeTenant(saasctl, id, { wait: true, backup: false, reason: 'the story begins again' })
}
