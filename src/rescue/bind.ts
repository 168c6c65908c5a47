import type { Json } from '../canonical.js'
import { serversToBind, settleBound, type Unbound } from '../catalog/bindings.js'
import type { OperationRow } from '../catalog/operations.js'
import { type ServerRow, serverById } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import { bindingsLock, writeBindings } from '../databases/bind.js'
import type { ActingSession, Fence } from '../engines/engine.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import type { Context, Kind, Tools, Work } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import type { Wait } from '../tenants/work.js'

interface BindInput extends Record<string, Json> {
  serverId: string
}

class BindWork implements Work {
  readonly operation: OperationRow<BindInput>
  readonly tools: Tools
  readonly server: ServerRow
  written: Array<Pick<Unbound, 'databaseId' | 'changes'>> = []
  #session: ActingSession | undefined

  constructor(tools: Tools, operation: OperationRow<BindInput>, server: ServerRow) {
    this.tools = tools
    this.operation = operation
    this.server = server
  }

  async enter(fence: Fence): Promise<void> {
    const engine = await this.tools.engine(this.server.engine)
    const access = await serverAccess(this.tools.keys, this.server)
    this.#session = await engine.enter(access, { ...fence, lock: bindingsLock(this.server.id) })
  }

  async leave(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.end()
  }

  get session(): ActingSession {
    if (!this.#session) throw new SaasctlError('FENCED', 'A step acted on the server before the fence was taken.')
    return this.#session
  }
}

/** Writes beside each database of a server whose it is, where that is not written yet or is no longer so. */
export const serverBind: Kind<BindInput, BindWork> = {
  name: 'server.bind',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'start',
  open: async (tools, operation) => {
    const server = await serverById(tools.catalog, operation.input.serverId)
    if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `The catalog has no server ${operation.input.serverId}.`)
    return new BindWork(tools, operation, server)
  },
  steps: [{ name: 'write', act: write, commit: (tx, work) => settleBound(tx, work.written) }],
  result: ({ written }) => ({ written: written.length })
}

async function write(work: BindWork): Promise<void> {
  work.written = await writeBindings(work.tools, work.server, work.session)
}

/** Promises the writing on every server that needs it; called once a minute by every worker. */
export async function bindDue(context: Context): Promise<number> {
  const servers = await serversToBind(context.catalog)
  for (const server of servers) await promise(context, server.id, { wait: false })
  return servers.length
}

/** The same, followed to its end. A server that cannot be reached now keeps nobody from the rest: its name is given back. */
export async function bindAll(context: Context, wait: Wait): Promise<string[]> {
  const missed: string[] = []
  for (const { id, name } of await serversToBind(context.catalog)) {
    try {
      await context.operations.follow(await promise(context, id, wait), wait)
    } catch (thrown) {
      if (asSaasctlError(thrown).code === 'CANCELLED') throw thrown
      missed.push(name)
    }
  }
  return missed
}

async function promise(context: Context, serverId: string, wait: Wait): Promise<OperationRow> {
  const claim = await context.operations.claim(wait.wait)
  const { actor } = context
  return context.catalog.transaction(actor, tx =>
    startOperation(tx, { kind: serverBind, input: { serverId }, subject: `server:${serverId}`, actor, claim })
  )
}
