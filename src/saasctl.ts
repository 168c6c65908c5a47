import { access } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Actor } from './catalog/audit.js'
import { Catalog } from './catalog/catalog.js'
import { checkVersion, readInstance } from './catalog/instance.js'
import { Closers } from './closers.js'
import type { Config } from './config.js'
import { KeepBound } from './databases/keep-bound.js'
import type { EmbeddedServer } from './embedded/embedded.js'
import type { EmbeddedMysql } from './embedded/mysql.js'
import { engineRegistry } from './engines/registry.js'
import { asSaasctlError } from './errors.js'
import { kinds } from './kinds.js'
import { uuidv7 } from './names.js'
import { failpoints } from './operations/failpoints.js'
import type { Context, Tools } from './operations/kind.js'
import { Operations } from './operations/operations.js'
import { type Caller, callerOf } from './operators/caller.js'
import { tokenHash } from './operators/token.js'
import type { KeptServer } from './servers/embedded.js'
import { keyStore, operatorToken, stores, wayIn } from './way-in.js'

export interface OpenOptions {
  /** Who acts; by default the configuration’s operator: proven by a token, else asserted. */
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
  /** The catalog was put back from a backup and not declared the present one yet: what it believes may be over. */
  rewound: boolean
  /** Who calls, and as what; a program asks the table of permissions with it. */
  caller: Caller
  close(): Promise<void>
}

/**
 * Opens the control plane: the catalog (or the embedded one, started and made at first use), the key store, the engines.
 * Engines, queue and use-cases are loaded when they are first needed.
 */
export async function open(config: Config, options: OpenOptions = {}): Promise<Saasctl> {
  const closers = new Closers()
  const report = options.report ?? (() => {})
  let bound: KeepBound | undefined
  try {
    const { url: catalogUrl, embedded } = await wayIn(config, report)
    const catalog = new Catalog(catalogUrl, {
      max: options.connections ?? 8,
      onCommit: events => bound?.heard(events)
    })
    closers.push(() => catalog.close())
    const rewound = await checkCatalog(catalog, embedded, report)
    const engines = engineRegistry()
    closers.push(() => engines.close())
    const tools: Tools = {
      catalog,
      engine: engines.engine,
      keys: keyStore(config),
      stores: stores(config),
      path: config.path,
      folders: { templates: config.templates, project: config.project },
      grace: {
        deleteSeconds: config.deleteGrace / 1000,
        slugSeconds: config.slugQuarantine / 1000,
        finalBackupSeconds: config.finalBackupKeep / 1000,
        exportSeconds: config.exportKeep / 1000
      }
    }
    const keepBound = new KeepBound(tools, report)
    closers.push(() => keepBound.close())
    bound = keepBound
    const operations = new Operations(tools, {
      owner: `${hostname()}:${process.pid}:${uuidv7()}`,
      leaseMs: config.lease,
      failpoint: failpoints(config.failpoint),
      kinds
    })
    const token = options.actor ? null : operatorToken(config)
    const caller: Caller = options.actor
      ? { actor: options.actor, role: 'owner' }
      : await callerOf(catalog, {
          token,
          assertedName: config.operator,
          assertedMayChange: config.assertedChanges
        })
    const { actor } = caller
    const close = () => closers.close()
    const proof = token && tokenHash(token)
    const saasctl = {
      ...tools,
      actor,
      caller,
      tokenHash: proof,
      operations,
      config,
      embedded,
      catalogUrl,
      rewound,
      close
    }
    if (embedded) {
      await keep(saasctl, 'catalog', embedded)
      if (await hasEmbeddedMysql(config.home)) await addEmbeddedMysql(saasctl, report)
    }
    return saasctl
  } catch (error) {
    await closers.close().catch(() => {})
    throw error
  }
}

/**
 * Refuses a catalog of another version; the embedded one is brought to ours, because nobody else looks after it. Gives
 * whether it was restored and is not adopted yet.
 */
async function checkCatalog(
  catalog: Catalog,
  embedded: EmbeddedServer | undefined,
  report: (sentence: string) => void
): Promise<boolean> {
  try {
    const instance = await readInstance(catalog)
    await checkVersion(instance)
    return instance.restoredAt !== null
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    if (!embedded || (error.code !== 'CATALOG_BEHIND' && error.code !== 'CATALOG_UNMIGRATED')) throw error
    report('Bringing the embedded catalog to this version.')
    const [{ embeddedAdminUrl }, { migrateCatalog }] = await Promise.all([
      import('./embedded/catalog.js'),
      import('./catalog/migrate.js')
    ])
    await migrateCatalog(embeddedAdminUrl(embedded))
    return (await readInstance(catalog)).restoredAt !== null
  }
}

/**
 * Starts the private MariaDB or MySQL of the embedded environment, made at the first time, and keeps it in the catalog as
 * `local-mysql`. From then on it starts whenever the environment does. TOOL_MISSING where neither is on the machine.
 */
export async function addEmbeddedMysql(
  saasctl: Context & { config: Config },
  report: (sentence: string) => void = () => {}
): Promise<EmbeddedMysql> {
  const { home, path } = saasctl.config
  const [{ embeddedMysql }, { recipe }] = await Promise.all([
    import('./embedded/mysql.js'),
    import('./engines/mysql/recipe.js')
  ])
  const server = await embeddedMysql(home, { path, report, rights: recipe })
  await keep(saasctl, 'beside', server)
  return server
}

/** Without loading what makes and starts it: most homes have none. */
async function hasEmbeddedMysql(home: string): Promise<boolean> {
  return access(join(home, 'embedded/mysql/server.json')).then(
    () => true,
    () => false
  )
}

async function keep(context: Context, which: 'catalog' | 'beside', server: KeptServer): Promise<void> {
  const { keepEmbeddedServer } = await import('./servers/embedded.js')
  await keepEmbeddedServer(context, which, server)
}
