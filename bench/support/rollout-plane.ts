import { listServers } from '../../src/catalog/servers.js'
import { serverAccess } from '../../src/databases/access.js'
import type { ServerAccess } from '../../src/engines/engine.js'
import { createTenant } from '../../src/tenants/create.js'
import { type ControlPlane, controlPlane } from '../../test/support/control-plane.js'
import { type TinyTemplate, tinyTemplate } from '../../test/support/tiny-template.js'
import { together } from './measure.js'
import { must } from './plane.js'

/** A fleet on one server, beside the catalog. */
export interface RolloutPlane extends ControlPlane {
  template: TinyTemplate
  access: ServerAccess
  slugs: string[]
}

export async function rolloutPlane(tenants: number): Promise<RolloutPlane> {
  const template = await tinyTemplate()
  const plane = await controlPlane({ env: { ...template.env, SAASCTL_LEASE: '15s' } })
  const close = async () => {
    await plane.close()
    await template.remove()
  }
  try {
    const { saasctl } = plane
    const slugs = Array.from({ length: tenants }, (_, index) => `tenant-${index}`)
    await together(tenants, 2, index =>
      createTenant(saasctl, { slug: slugs[index] ?? '', plan: 'small' }, { template: 'tiny' }, { wait: true })
    )
    const access = await serverAccess(saasctl.keys, must((await listServers(saasctl.catalog))[0]))
    return { ...plane, template, access, slugs, close }
  } catch (error) {
    await close()
    throw error
  }
}
