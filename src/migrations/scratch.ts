import type { Json } from '../canonical.js'
import type { OperationRow } from '../catalog/operations.js'
import type { ActingSession, DatabaseNames, Engine, Fence, LoginRole, ServerAccess } from '../engines/engine.js'
import { loginRoles } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Tools, Work } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { randomPassword } from '../secrets/passwords.js'

export interface CheckInput extends Record<string, Json> {
  /** Of the scratch database: the catalog keeps no row of it, the ledger alone knows it until it is gone. */
  databaseId: string
  serverId: string
  template: string
  checksum: string
}

/** A scratch database. Its passwords are made anew by every process that works on it, and kept nowhere. */
export class ScratchWork implements Work {
  readonly operation: OperationRow<CheckInput>
  readonly tools: Tools
  readonly engine: Engine
  readonly access: ServerAccess
  readonly names: DatabaseNames
  readonly passwords: Record<LoginRole, Secret>
  #session: ActingSession | undefined

  constructor(operation: OperationRow<CheckInput>, tools: Tools, engine: Engine, access: ServerAccess) {
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

  async enter(fence: Fence): Promise<void> {
    this.#session = await this.engine.enter(this.access, fence)
  }

  async leave(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.end()
  }
}
