import pg from 'pg'
import { listServers } from '../../src/catalog/servers.js'
import { serverAccess } from '../../src/databases/access.js'
import { Logins } from '../../src/databases/logins.js'
import type { Saasctl } from '../../src/saasctl.js'
import { mustFind } from '../../src/tenants/find.js'

/** Does something in a tenant's database as its owner, past the control plane: what went wrong before anybody looked. */
export async function asTenantOwner<T>(
  saasctl: Saasctl,
  slug: string,
  work: (client: pg.Client) => Promise<T>
): Promise<T> {
  const tenant = await mustFind(saasctl.catalog, slug)
  const server = (await listServers(saasctl.catalog)).find(({ name }) => name === tenant.server)
  if (!server || tenant.databaseId === null) throw new Error(`${slug} has no place.`)
  const { host, port } = await serverAccess(saasctl.keys, server)
  const { login, password } = await (await Logins.of(saasctl.catalog, saasctl.keys, tenant.databaseId)).credentials(
    'owner'
  )
  const client = new pg.Client({
    host,
    port,
    database: tenant.database ?? '',
    user: login,
    password: password.reveal()
  })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
