import type { Json } from '../canonical.js'
import type { OperationRow } from '../catalog/operations.js'
import { type ServerRow, serverById } from '../catalog/servers.js'
import type {
  ActingSession,
  Credentials,
  DatabaseNames,
  Engine,
  Fence,
  LoginRole,
  ServerAccess
} from '../engines/engine.js'
import { loginRoles } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Tools, Work } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { randomPassword } from '../secrets/passwords.js'
import { serverAccess } from './access.js'

export interface ScratchInput extends Record<string, Json> {
  /** Of the scratch database: the catalog keeps no row of it, the ledger alone knows it until it is gone. */
  databaseId: string
  serverId: string
}

/** What a scratch database may take of its server. */
export const scratchLimits = { connections: 2, statementTimeoutMs: null, idleInTransactionMs: null, tempFileMb: null }

/** A scratch database. Its passwords are made anew by every process that works on it, and kept nowhere. */
export class ScratchWork<Input extends ScratchInput = ScratchInput> implements Work {
  readonly operation: OperationRow<Input>
  readonly tools: Tools
  readonly engine: Engine
  readonly access: ServerAccess
  readonly names: DatabaseNames
  readonly passwords: Record<LoginRole, Secret>
  #session: ActingSession | undefined

  constructor(operation: OperationRow<Input>, tools: Tools, engine: Engine, access: ServerAccess) {
    this.operation = operation
    this.tools = tools
    this.engine = engine
    this.access = access
    this.names = engine.names(operation.input.databaseId)
    this.passwords = Object.fromEntries(loginRoles.map(role => [role, randomPassword()])) as Record<LoginRole, Secret>
  }

  get session(): ActingSession {
    if (!this.#session) throw new SaasctlError('FENCED', 'A step acted on the server before the fence was taken.')
    return this.#session
  }

  get owner(): Credentials {
    return { login: this.names.logins.owner, password: this.passwords.owner }
  }

  async enter(fence: Fence): Promise<void> {
    this.#session = await this.engine.enter(this.access, fence)
  }

  async leave(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.end()
  }
}

/** The engine of the scratch database's server, and the way in. */
export async function scratchServer(tools: Tools, serverId: string): Promise<{ engine: Engine; access: ServerAccess }> {
  const server: ServerRow | undefined = await serverById(tools.catalog, serverId)
  if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `The catalog has no server ${serverId}.`)
  return { engine: await tools.engine(server.engine), access: await serverAccess(tools.keys, server) }
}
