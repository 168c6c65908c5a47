import { beingCopied, databasesToDrop } from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import { listServers, lockServer, type ServerRow } from '../catalog/servers.js'
import { forgetWarmTargets } from '../catalog/warm.js'
import { startDrop } from '../databases/drop.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { followAll } from './follow-all.js'

/**
 * Drops what no tenant has of a template, on one server or on every one: its own databases, the warm ones, and their wanted
 * number. Tenants stay; the next one that is made from it there builds it again. Gives how many databases are dropped.
 */
export async function dropTemplate(
  context: Context,
  name: string,
  wish: { server?: string | undefined },
  wait: Follow & { wait: boolean }
): Promise<number> {
  const all = await listServers(context.catalog)
  const servers = all.filter(server => wish.server === undefined || server.name === wish.server)
  if (wish.server !== undefined && servers.length === 0) {
    throw new SaasctlError('SERVER_NOT_FOUND', `There is no server ${quoteInput(wish.server)}.`, {
      hint: 'See "saasctl server list".'
    })
  }
  const operations: OperationRow[] = []
  for (const server of servers) operations.push(...(await dropOn(context, server, name)))
  if (wait.wait) await followAll(context, operations, wait)
  return operations.length
}

async function dropOn({ catalog, actor }: Context, server: ServerRow, name: string): Promise<OperationRow[]> {
  return catalog.transaction(actor, async tx => {
    // Whoever copies the template takes a place on the server first, and waits here.
    await lockServer(tx, server.id)
    if (await beingCopied(tx, server.id, name)) {
      throw new SaasctlError('OPERATION_STATE', `Template ${name} is being copied on server ${server.name}.`, {
        hint: 'Wait until that is over: "saasctl operation list --open".'
      })
    }
    const dropped = await databasesToDrop(tx, server.id, name)
    await forgetWarmTargets(tx, server.id, name)
    const payload = { name, server: server.name, databases: dropped.map(row => row.name) }
    if (dropped.length > 0)
      tx.audit({ chain: 'template', action: 'template.drop', subject: `server:${server.id}`, payload })
    const operations: OperationRow[] = []
    for (const { id } of dropped) operations.push(await startDrop(tx, id, { actor, claim: null }))
    return operations
  })
}
