import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { type Config, loadConfig } from '../../src/config.js'
import { createTenant } from '../../src/tenants/create.js'
import { type ControlPlane, type ControlPlaneOptions, controlPlane } from '../../test/support/control-plane.js'
import { tinyTemplate } from '../../test/support/tiny-template.js'
import { together } from './measure.js'

/** A control plane with tenants of a small template, and a router's way into it. */
export interface RoutedPlane extends ControlPlane {
  routerConfig: Config
  /** Everything that a router in another process needs. */
  routerEnv: Record<string, string>
  slugs: string[]
}

export async function routedPlane(tenants: number, options: ControlPlaneOptions = {}): Promise<RoutedPlane> {
  const tiny = await tinyTemplate()
  const plane = await controlPlane({
    config: { max_connections: '300' },
    ...options,
    env: { ...tiny.env, SAASCTL_LEASE: '15s' }
  })
  const close = async () => {
    await plane.close()
    await tiny.remove()
  }
  try {
    const { saasctl } = plane
    const slugs = Array.from({ length: tenants }, (_, index) => `tenant-${index}`)
    await together(tenants, 2, index =>
      createTenant(saasctl, { slug: slugs[index] ?? '', plan: 'large' }, { template: 'tiny' }, { wait: true })
    )
    const { url } = await createCatalogLogin(plane.adminUrl, 'router', { name: 'bench', proof: 'asserted' })
    const routingKey = (await saasctl.keys.read('routing')).toString('base64')
    const routerEnv = { SAASCTL_CATALOG_URL: url, SAASCTL_ROUTING_KEY: routingKey, SAASCTL_HOME: '/nowhere' }
    return { ...plane, slugs, routerEnv, routerConfig: loadConfig({ cwd: plane.config.home, env: routerEnv }), close }
  } catch (error) {
    await close()
    throw error
  }
}
