import { createHash } from 'node:crypto'
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCatalogLogin } from '../catalog/credentials.js'
import { migrateCatalog } from '../catalog/migrate.js'
import type { EmbeddedServer } from './embedded.js'

/** The owner's way into the embedded catalog: for migrating it, and for nothing else. */
export function embeddedAdminUrl(server: EmbeddedServer): string {
  const { database, owner } = server.catalog
  return url(server, database, owner.login, owner.password.reveal())
}

/**
 * The control login's way into the embedded catalog. The login is made at first use, after migrating, and kept in a file of
 * mode 0600 beside the data, with what names the cluster that it opens.
 */
export async function embeddedCatalogUrl(
  home: string,
  server: EmbeddedServer,
  report: (progress: string) => void
): Promise<string> {
  const file = join(home, 'catalog-login.json')
  const kept = await read(file)
  const madeFor = clusterOf(server)
  if (kept?.madeFor === madeFor) return url(server, server.catalog.database, kept.login, kept.password)
  report('Making the catalog (once).')
  await migrateCatalog(embeddedAdminUrl(server))
  const made = new URL(
    (await createCatalogLogin(embeddedAdminUrl(server), 'control', { name: 'embedded', proof: 'asserted' })).url
  )
  const login = { login: made.username, password: made.password, madeFor }
  await write(file, login)
  return url(server, server.catalog.database, login.login, login.password)
}

/** Names the cluster: one that was made after a reset lies in the same folder, and only its owner's password is another. */
function clusterOf({ catalog }: EmbeddedServer): string {
  return createHash('sha256').update(catalog.owner.password.reveal()).digest('hex')
}

interface KeptLogin {
  login: string
  password: string
  madeFor: string
}

async function read(file: string): Promise<KeptLogin | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as KeptLogin
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

async function write(file: string, login: KeptLogin): Promise<void> {
  const building = `${file}.${process.pid}`
  await writeFile(building, `${JSON.stringify(login, undefined, 2)}\n`, { mode: 0o600 })
  await chmod(building, 0o600)
  await rename(building, file)
}

function url({ host, port }: EmbeddedServer, database: string, login: string, password: string): string {
  return `postgres://${login}:${encodeURIComponent(password)}@${host}:${port}/${database}`
}
