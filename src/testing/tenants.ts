import { randomBytes } from 'node:crypto'
import { createCatalogLogin } from '../catalog/credentials.js'
import { listTenants, type TenantStatus } from '../catalog/tenants.js'
import { type Config, type ConfigInput, loadConfig } from '../config.js'
import { embeddedAdminUrl } from '../embedded/catalog.js'
import { SaasctlError } from '../errors.js'
import { open, type Saasctl } from '../saasctl.js'
import { createTenant } from '../tenants/create.js'
import { purgeTenant } from '../tenants/purge.js'
import { type Home, keptHome, throwawayHome } from './home.js'
import { isOver } from './over.js'

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
  const { project = '.', tenants = 2, plan } = options
  const { path } = loadConfig({ cwd: project })
  // Nothing of the developer's own: neither a catalog nor keys that the environment or the file may name.
  const ofProject = (flags: ConfigInput['flags'] = {}) => loadConfig({ cwd: project, env: { PATH: path }, flags })
  const template = options.template ?? (await onlyTemplate(ofProject().templates))
  const home = options.keepIn === undefined ? await throwawayHome(path) : keptHome(options.keepIn)
  let saasctl: Saasctl | undefined
  try {
    const config = ofProject({ home: home.folder, slugQuarantine: '0s' })
    saasctl = await open({ ...config, catalog: null, keyStore: null })
    if (home.kept) await purgeLeft(saasctl)
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
  wish: { tenants: readonly string[] | number; template: string; plan: string | undefined; project: string }
): Promise<TestTenants> {
  const slugs: string[] = []
  const create = async (slug = `test-${randomBytes(6).toString('hex')}`) => {
    const labels = { [madeBy]: String(process.pid) }
    await createTenant(saasctl, { slug, plan: wish.plan, labels }, { template: wish.template }, { wait: true })
    slugs.push(slug)
    return slug
  }
  const purgeAll = async () => {
    // What cannot be purged now is purged by the next one.
    if (home.kept) for (const slug of slugs) await purgeTenant(saasctl, slug, { wait: true }).catch(() => {})
  }
  try {
    const names =
      typeof wish.tenants === 'number' ? Array.from({ length: wish.tenants }, () => undefined) : wish.tenants
    for (const name of names) await create(name)
    const config = await routerConfig(saasctl, wish.project)
    const close = async () => {
      await purgeAll()
      await saasctl.close().finally(() => home.close())
    }
    return { config, slugs, create, saasctl, close }
  } catch (error) {
    await purgeAll()
    throw error
  }
}

/** Whose test tenant it is, so that what a killed test has left in a kept server does not stand in the next one's way. */
const madeBy = 'test-process'

async function purgeLeft(saasctl: Saasctl): Promise<void> {
  const statuses: TenantStatus[] = ['active', 'suspended', 'deleted', 'purging']
  for (const { id, labels, createdAt } of await listTenants(saasctl.catalog, { statuses }, { limit: 1000 })) {
    const over = isOver(Number(labels[madeBy]), createdAt.getTime())
    if (labels[madeBy] !== undefined && over) await purgeTenant(saasctl, id, { wait: true }).catch(() => {})
  }
}

async function routerConfig(saasctl: Saasctl, project: string): Promise<Config> {
  if (!saasctl.embedded) throw new SaasctlError('FAILED', 'The tests’ own server was not started.')
  const { url } = await createCatalogLogin(embeddedAdminUrl(saasctl.embedded), 'router', saasctl.actor)
  const routingKey = (await saasctl.keys.read('routing')).toString('base64')
  const env = { SAASCTL_CATALOG_URL: url, SAASCTL_ROUTING_KEY: routingKey }
  return { ...loadConfig({ cwd: project, env }), keyStore: null }
}

async function onlyTemplate(folder: string): Promise<string> {
  const { loadTemplates } = await import('../templates/files.js')
  const names = (await loadTemplates(folder)).map(({ name }) => name)
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
