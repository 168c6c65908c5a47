import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { migrationsFolder } from '../../src/catalog/instance.js'
import { migrateCatalog } from '../../src/catalog/migrate.js'
import { type Config, loadConfig, packageFolder } from '../../src/config.js'
import { stopPostmaster } from '../../src/embedded/postmaster.js'
import { run } from '../../src/embedded/programs.js'
import { open, type Saasctl } from '../../src/saasctl.js'
import { Secret } from '../../src/secret.js'
import { addServer } from '../../src/servers/add.js'
import {
  asSuperuser,
  type Binaries,
  controlLogin,
  keptData,
  postgresBinaries,
  scratch,
  startServer,
  type TestServer,
  type TestServerOptions,
  user
} from './servers.js'

/** A control plane of a test file's own: a server, a migrated catalog in it, and keys in a folder of its own. */
export interface ControlPlane {
  server: TestServer
  /** Everything a program needs to open the same control plane: for child processes. */
  env: Record<string, string>
  adminUrl: string
  saasctl: Saasctl
  config: Config
  /** Another open control plane on the same catalog, as a second process would be. */
  another(env?: Record<string, string>): Promise<Saasctl>
  /** Runs SQL in the catalog as the superuser, past every guard. */
  catalogAsSuperuser<T>(work: (client: pg.Client) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface ControlPlaneOptions extends TestServerOptions {
  env?: Record<string, string>
  /** False leaves the catalog without a server. */
  addServer?: boolean
}

const catalogName = 'saasctl'

/** Starts it all; the caller closes it in a teardown. Costs about a quarter of a second. */
export async function controlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const server = await startServer({ ...options, from: await migratedCatalog(options.binaries) })
  const home = await mkdtemp(join(scratch, 'saasctl-home.'))
  const opened: Saasctl[] = []
  try {
    await asSuperuser(server, client => client.query('update saasctl.instance set incarnation = default'), catalogName)
    const adminUrl = ownerUrl(server)
    const { url } = await createCatalogLogin(adminUrl, 'control', { name: 'tester', proof: 'asserted' })
    const env: Record<string, string> = {
      SAASCTL_CATALOG_URL: url,
      SAASCTL_HOME: home,
      SAASCTL_TEMPLATES: join(packageFolder, 'tenant-templates'),
      SAASCTL_LEASE: '600ms',
      SAASCTL_BEAT: '150ms',
      SAASCTL_OPERATOR: 'tester',
      PATH: process.env['PATH'] ?? '',
      ...options.env
    }
    const another = async (more: Record<string, string> = {}) => {
      const saasctl = await open(loadConfig({ cwd: home, env: { ...env, ...more } }))
      opened.push(saasctl)
      return saasctl
    }
    const saasctl = await another()
    if (options.addServer !== false) {
      const { login, password } = await controlLogin(server)
      const wish = { name: 'main', engine: 'postgres', host: server.host, port: server.port, login } as const
      await addServer(saasctl, { ...wish, password: new Secret(password) })
    }
    return {
      server,
      env,
      adminUrl,
      saasctl,
      config: saasctl.config,
      another,
      catalogAsSuperuser: work => asSuperuser(server, work, catalogName),
      close: async () => {
        for (const one of opened) await one.close()
        await server.stop()
        await rm(home, { recursive: true, force: true })
      }
    }
  } catch (error) {
    for (const one of opened) await one.close().catch(() => {})
    await server.stop()
    await rm(home, { recursive: true, force: true })
    throw error
  }
}

/** An empty catalog database with its owner, a login with CREATEROLE: as an operator would make it. Gives the owner's URL. */
export async function emptyCatalog(server: TestServer, database = catalogName): Promise<string> {
  await asSuperuser(server, async client => {
    await client.query(`create role saasctl_admin login createrole password '${ownerPassword}'`)
    await client.query(`create database ${pg.escapeIdentifier(database)} owner saasctl_admin`)
  })
  return ownerUrl(server, database)
}

const ownerPassword = 'made-for-this-test'
const ownerUrl = ({ host, port }: TestServer, database = catalogName) =>
  `postgres://saasctl_admin:${ownerPassword}@${host}:${port}/${database}`

/** A server's data with a migrated catalog in it, kept until a migration changes: to make one takes as long as all the rest. */
async function migratedCatalog(wish?: Binaries): Promise<string> {
  const binaries = wish ?? (await postgresBinaries())[0]
  if (!binaries) throw new Error('No PostgreSQL was found; ask skipWithoutPostgres first.')
  const names = (await readdir(migrationsFolder)).sort()
  const files = [
    ...names.map(name => new URL(name, migrationsFolder)),
    new URL('../../src/catalog/migrate.js', import.meta.url),
    join(packageFolder, 'node_modules', 'graphile-worker', 'package.json')
  ]
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8')))
  return keptData(`catalog-${binaries.version}`, texts.join('\0'), async building => {
    const server = await startServer({ binaries })
    try {
      await migrateCatalog(await emptyCatalog(server))
      await stopPostmaster(server.dataDir)
      await run('/bin/cp', ['-a', server.dataDir, join(building, 'data')], { user })
      await writeFile(join(building, 'password'), server.superuser.password, { mode: 0o600 })
    } finally {
      await server.stop()
    }
  })
}
