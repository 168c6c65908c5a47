import { tmpdir } from 'node:os'
import pg from 'pg'
import { templateDatabase } from '../../src/catalog/databases.js'
import { listServers, type ServerRow } from '../../src/catalog/servers.js'
import { newestTemplate } from '../../src/catalog/templates.js'
import { serverAccess } from '../../src/databases/access.js'
import { Logins } from '../../src/databases/logins.js'
import type { Credentials, DatabaseNames, ServerAccess } from '../../src/engines/engine.js'
import { createTenant } from '../../src/tenants/create.js'
import { type ControlPlane, type ControlPlaneOptions, controlPlane } from '../../test/support/control-plane.js'

/**
 * `disk`: data on the machine's disk and every commit synced, as on a customer's server. `memory`: as in the tests, in
 * /dev/shm with fsync off, where a server's own share is smallest and ours shows most.
 */
export type Medium = 'disk' | 'memory'

export const media = {
  disk: { folder: tmpdir(), config: { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } },
  memory: {}
} as const

export interface BenchPlane extends ControlPlane {
  access: ServerAccess
  /** The server's row, as the catalog has it. */
  row: ServerRow
  /** The sealed template that tenants are copied from. */
  template: { database: string; names: DatabaseNames; owner: Credentials }
}

/** A control plane whose standard template is built and that has made one tenant; its catalog is on the same server. */
export async function benchPlane(medium: Medium, more: ControlPlaneOptions = {}): Promise<BenchPlane> {
  const plane = await controlPlane({ ...media[medium], ...more, env: { SAASCTL_LEASE: '15s' } })
  try {
    await create(plane, 'first')
    const { catalog, keys, engine } = plane.saasctl
    const row = must((await listServers(catalog))[0])
    const template = must(await newestTemplate(catalog, 'standard'))
    const database = must(await templateDatabase(catalog, row.id, template.id))
    const logins = await Logins.of(catalog, keys, database.id)
    return {
      ...plane,
      row,
      access: await serverAccess(keys, row),
      template: {
        database: database.name,
        names: (await engine(row.engine)).names(database.id),
        owner: await logins.credentials('owner')
      }
    }
  } catch (error) {
    await plane.close()
    throw error
  }
}

/** The medium that the command line names; the benchmark's own by default. */
export function chosenMedium(usual: Medium): Medium {
  const [, , asked = usual] = process.argv
  if (asked === 'disk' || asked === 'memory') return asked
  throw new Error(`There is no medium "${asked}": disk or memory.`)
}

/** What `saasctl tenant create` does, in this process. */
export function create({ saasctl }: Pick<ControlPlane, 'saasctl'>, slug: string) {
  return createTenant(saasctl, { slug }, { template: 'standard' }, { wait: true })
}

/** A plain session, as a script of one's own would open it. */
export async function session(server: ServerAccess, database: string, as: Credentials): Promise<pg.Client> {
  const { host, port } = server
  const client = new pg.Client({ host, port, database, user: as.login, password: as.password.reveal() })
  client.on('error', () => {})
  await client.connect()
  return client
}

export function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('The control plane is not as it was just made.')
  return value
}
