import { boundTo, settleBound, type Unbound, unboundOn } from '../catalog/bindings.js'
import { readInstance } from '../catalog/instance.js'
import { type ServerRow, serverById } from '../catalog/servers.js'
import type { ActingSession } from '../engines/engine.js'
import { uuidv7 } from '../names.js'
import type { Tools } from '../operations/kind.js'
import { serverAccess } from './access.js'
import { sealBinding } from './binding.js'
import type { DatabaseWork } from './work.js'

/** Of all who write on one server: what is read after this lock is held cannot be older than what stands there. */
export const bindingsLock = (serverId: string) => `${serverId}/bindings`

/** Read and written so many at a time; each takes one short statement on the server. */
const AT_ONCE = 500

/** Writes beside each database of the server whose it is, where that is not written yet or is no longer so. */
export async function writeBindings(
  tools: Tools,
  server: ServerRow,
  session: ActingSession
): Promise<Array<Pick<Unbound, 'databaseId' | 'changes'>>> {
  const [engine, { incarnation, restoredAt }] = await Promise.all([
    tools.engine(server.engine),
    readInstance(tools.catalog)
  ])
  const written: Unbound[] = []
  // What stands there is newer than a catalog that was restored, until it has learned it.
  if (restoredAt) return written
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const rows = await unboundOn(tools.catalog, server.id, after, AT_ONCE)
    for (const row of rows) {
      const names = { ...engine.names(row.databaseId), database: row.database }
      await session.bind(names, await sealBinding(tools.keys, row, incarnation))
      written.push(row)
      after = row.databaseId
    }
    if (rows.length < AT_ONCE) return written
  }
}

/**
 * The same without an operation: it may be left out, done twice or by two at once, and what it misses is written by the
 * next who comes.
 */
export async function bindServer(tools: Tools, serverId: string): Promise<void> {
  const server = await serverById(tools.catalog, serverId)
  if (!server) return
  const engine = await tools.engine(server.engine)
  const access = await serverAccess(tools.keys, server)
  const session = await engine.enter(access, {
    operation: uuidv7(),
    epoch: 1,
    lock: bindingsLock(serverId),
    confirm: async () => {}
  })
  try {
    await settleBound(tools.catalog, await writeBindings(tools, server, session))
  } finally {
    await session.end()
  }
}

/**
 * Writes whose a new tenant's database is before the catalog gives it to the tenant: there is no moment at which the tenant
 * lives and the loss of the catalog would lose it. Should it never live, its database is dropped, and this with it.
 */
export async function bindAhead({ tools, database, names, session }: DatabaseWork, tenantId: string): Promise<void> {
  const about = await boundTo(tools.catalog, tenantId, database.id)
  if (about) await session.bind(names, await sealBinding(tools.keys, about.row, about.incarnation))
}
