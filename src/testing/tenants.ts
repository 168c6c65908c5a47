import { randomBytes } from 'node:crypto'
import { createCatalogLogin } from '../catalog/credentials.js'
import { type Config, loadConfig } from '../config.js'
import { embeddedAdminUrl } from '../embedded/catalog.js'
import { SaasctlError } from '../errors.js'
import { open, type Saasctl } from '../saasctl.js'
import { createTenant } from '../tenants/create.js'
import { purgeTenant } from '../tenants/purge.js'
import { type Home, keptHome, throwawayHome } from './home.js'

export interface TestTenantsOptions {
  /** The project whose saasctl.json, templates and migrations count; the present folder. */
  project?: string
  /** Tenants to begin with, by slug, or how many; 2. */
  tenants?: readonly string[] | number
  /** The tenants' template and plan; the only template there is, and its usual plan. */
  template?: string
  plan?: string
  /** A folder for a server that outlives the test: the next one starts in a tenth of the time. By default nothing is left. */
  keepIn?: string
}

/** Throwaway tenants on a private PostgreSQL, for an application's own tests. */
export interface TestTenants {
  /** For the router under test: `app.register(router, { config: tenants.config, … })`. It has a router's rights, no more. */
  config: Config
  slugs: readonly string[]
  /** Another tenant; gives its slug. */
  create(slug?: string): Promise<string>
  /** The control plane, to suspend, rename or migrate a tenant in the middle of a test. */
  saasctl: Saasctl
  /** Drops the tenants, and without `keepIn` the server. Called by itself when the process ends without. */
  close(): Promise<void>
}

/** Starts what an application's tests need. Close it in the test's teardown. */
export async function testTenants(options: TestTenantsOptions = {}): Promise<TestTenants> {
  const { project = '.', tenants = 2, template, plan } = options
  const { path } = loadConfig({ cwd: project })
  const home = options.keepIn === undefined ? await throwawayHome(path) : keptHome(options.keepIn)
  let saasctl: Saasctl | undefined
  try {
    // Nothing of the developer's own: neither a catalog nor keys that the environment or the file may name.
    const flags = { home: home.folder }
    const config = loadConfig({ cwd: project, env: { PATH: path }, flags })
    saasctl = await open({ ...config, catalog: null, keyStore: null })
    return await withTenants(saasctl, home, { tenants, template, plan, project })
  } catch (error) {
    await saasctl?.close().catch(() => {})
    await home.close()
    throw error
  }
}

async function withTenants(
  saasctl: Saasctl,
  home: Home,
  wish: { tenants: readonly string[] | number; template: string | undefined; plan: string | undefined; project: string }
): Promise<TestTenants> {
  const slugs: string[] = []
  const create = async (slug = `test-${randomBytes(6).toString('hex')}`) => {
    const from = { template: wish.template ?? (await onlyTemplate(saasctl)) }
    await createTenant(saasctl, { slug, ...(wish.plan !== undefined && { plan: wish.plan }) }, from, { wait: true })
    slugs.push(slug)
    return slug
  }
  const names = typeof wish.tenants === 'number' ? Array.from({ length: wish.tenants }, () => undefined) : wish.tenants
  for (const name of names) await create(name)
  return {
    config: await routerConfig(saasctl, wish.project),
    slugs,
    create,
    saasctl,
    close: async () => {
      if (home.kept) for (const slug of slugs) await purgeTenant(saasctl, slug, { wait: true }).catch(() => {})
      await saasctl.close()
      await home.close()
    }
  }
}

async function routerConfig(saasctl: Saasctl, project: string): Promise<Config> {
  if (!saasctl.embedded) throw new SaasctlError('FAILED', 'The tests’ own server was not started.')
  const { url } = await createCatalogLogin(embeddedAdminUrl(saasctl.embedded), 'router', saasctl.actor)
  const routingKey = (await saasctl.keys.read('routing')).toString('base64')
  const env = { SAASCTL_CATALOG_URL: url, SAASCTL_ROUTING_KEY: routingKey }
  return { ...loadConfig({ cwd: project, env }), keyStore: null }
}

async function onlyTemplate({ folders }: Saasctl): Promise<string> {
  const { loadTemplates } = await import('../templates/files.js')
  const names = (await loadTemplates(folders.templates)).map(({ name }) => name)
  const [only, ...others] = names
  if (only !== undefined && others.length === 0) return only
  throw new SaasctlError(
    'USAGE',
    `There is no telling which template is meant: ${names.join(', ') || 'there is none'}.`,
    {
      hint: 'Name it: testTenants({ template: "standard" }).'
    }
  )
}
