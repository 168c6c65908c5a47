import type { Queryable } from '../catalog/catalog.js'
import { listServers, type ServerRow, serverByName } from '../catalog/servers.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** The server of this name; SERVER_NOT_FOUND names those there are. */
export async function findServer(q: Queryable, name: string): Promise<ServerRow> {
  const server = await serverByName(q, name)
  if (server) return server
  const names = (await listServers(q)).map(row => row.name)
  throw new SaasctlError('SERVER_NOT_FOUND', `There is no server ${quoteInput(name)}.`, {
    hint: names.length > 0 ? `The servers are: ${names.join(', ')}.` : 'Add one with "saasctl server add".'
  })
}
