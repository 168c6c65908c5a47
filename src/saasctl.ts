import { hostname } from 'node:os'
import type { Actor } from './catalog/audit.js'
import { Catalog } from './catalog/catalog.js'
import { checkVersion, readInstance } from './catalog/instance.js'
import { Closers } from './closers.js'
import type { Config } from './config.js'
import type { EmbeddedServer } from './embedded/embedded.js'
import { engineRegistry } from './engines/registry.js'
import { asSaasctlError } from './errors.js'
import { kinds } from './kinds.js'
import { uuidv7 } from './names.js'
import { failpoints } from './operations/failpoints.js'
import type { Context, Tools } from './operations/kind.js'
import { Operations } from './operations/operations.js'
import { keyStore, wayIn } from './way-in.js'

export interface OpenOptions {
  /** Who acts; by default the operator of the configuration, asserted. */
  actor?: Actor
  /** Sentences for people about what opening does: starting the embedded server, making the catalog. */
  report?: (sentence: string) => void
  /** Connections to the catalog at most. */
  connections?: number
}

/** An open control plane. Close it, or the process does not end. */
export interface Saasctl extends Context {
  config: Config
  /** The server that was started for it, when no catalog is configured. */
  embedded: EmbeddedServer | undefined
  catalogUrl: string
  close(): Promise<void>
}

/**
 * Opens the control plane: the catalog (or the embedded one, started and made at first use), the key store, the engines.
 * Engines, queue and use-cases are loaded when they are first needed.
 */
export async function open(config: Config, options: OpenOptions = {}): Promise<Saasctl> {
  const closers = new Closers()
  const report = options.report ?? (() => {})
  try {
    const { url: catalogUrl, embedded } = await wayIn(config, report)
    const catalog = new Catalog(catalogUrl, { max: options.connections ?? 8 })
    closers.push(() => catalog.close())
    await checkCatalog(catalog, embedded, report)
    const engines = engineRegistry()
    closers.push(() => engines.close())
    const tools: Tools = {
      catalog,
      engine: engines.engine,
      keys: keyStore(config),
      folders: { templates: config.templates, project: config.project },
      grace: { deleteSeconds: config.deleteGrace / 1000, slugSeconds: config.slugQuarantine / 1000 }
    }
    const operations = new Operations(tools, {
      owner: `${hostname()}:${process.pid}:${uuidv7()}`,
      leaseMs: config.lease,
      failpoint: failpoints(config.failpoint),
      kinds
    })
    const actor: Actor = options.actor ?? { name: config.operator, proof: 'asserted' }
    const saasctl = { ...tools, actor, operations, config, embedded, catalogUrl, close: () => closers.close() }
    if (embedded) await knowEmbedded(saasctl, embedded)
    return saasctl
  } catch (error) {
    await closers.close().catch(() => {})
    throw error
  }
}

/** Refuses a catalog of another version; the embedded one is brought to ours, because nobody else looks after it. */
async function checkCatalog(
  catalog: Catalog,
  embedded: EmbeddedServer | undefined,
  report: (sentence: string) => void
): Promise<void> {
  try {
    await checkVersion(await readInstance(catalog))
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    if (!embedded || (error.code !== 'CATALOG_BEHIND' && error.code !== 'CATALOG_UNMIGRATED')) throw error
    report('Bringing the embedded catalog to this version.')
    const [{ embeddedAdminUrl }, { migrateCatalog }] = await Promise.all([
      import('./embedded/catalog.js'),
      import('./catalog/migrate.js')
    ])
    await migrateCatalog(embeddedAdminUrl(embedded))
  }
}

async function knowEmbedded(context: Context, server: EmbeddedServer): Promise<void> {
  const { keepEmbeddedServer } = await import('./servers/embedded.js')
  await keepEmbeddedServer(context, server)
}
