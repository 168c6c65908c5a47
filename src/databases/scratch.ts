import type { Json } from '../canonical.js'
import type { OperationRow } from '../catalog/operations.js'
import { type ServerRow, serverById } from '../catalog/servers.js'
import type {
  ActingSession,
  Credentials,
  DatabaseNames,
  Engine,
  Fence,
  Furnish,
  LoginRole,
  ServerAccess
} from '../engines/engine.js'
import { loginRoles } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Step, Tools, Work } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { randomPassword } from '../secrets/passwords.js'
import { serverAccess } from './access.js'

export interface ScratchPlace extends Record<string, Json> {
  /** Of the scratch database: the catalog keeps no row of it, the ledger alone knows it until it is gone. */
  databaseId: string
  serverId: string
}

/** For the files of a template as they were when the operation was promised. */
export interface ScratchInput extends ScratchPlace {
  template: string
  checksum: string
}

/** A scratch database. Its passwords are made anew by every process that works on it, and kept nowhere. */
export class ScratchWork<Input extends ScratchPlace = ScratchInput> implements Work {
  readonly operation: OperationRow<Input>
  readonly tools: Tools
  readonly engine: Engine
  readonly server: ServerRow
  readonly access: ServerAccess
  readonly names: DatabaseNames
  readonly passwords: Record<LoginRole, Secret>
  #session: ActingSession | undefined

  constructor(operation: OperationRow<Input>, parts: ScratchParts) {
    this.operation = operation
    this.tools = parts.tools
    this.engine = parts.engine
    this.server = parts.server
    this.access = parts.access
    this.names = parts.engine.names(operation.input.databaseId)
    this.passwords = Object.fromEntries(loginRoles.map(role => [role, randomPassword()])) as Record<LoginRole, Secret>
  }

  get owner(): Credentials {
    return { login: this.names.logins.owner, password: this.passwords.owner }
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

export interface ScratchParts {
  tools: Tools
  engine: Engine
  server: ServerRow
  access: ServerAccess
}

export async function openScratch(tools: Tools, { serverId }: ScratchPlace): Promise<ScratchParts> {
  const server = await serverById(tools.catalog, serverId)
  if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `The catalog has no server ${serverId}.`)
  const [engine, access] = await Promise.all([tools.engine(server.engine), serverAccess(tools.keys, server)])
  return { tools, engine, server, access }
}

const limits = { connections: 2, statementTimeoutMs: null, idleInTransactionMs: null, tempFileMb: null }

/** A scratch database around acts, the first of which makes it. Nothing of it stays, whatever happens. */
export function scratchSteps<W extends ScratchWork<ScratchPlace>>(
  make: Step<W> & { name: string },
  ...acts: ReadonlyArray<Step<W>>
): ReadonlyArray<Step<W>> {
  return [
    {
      name: 'make logins',
      act: ({ session, names, passwords }) => session.makeLogins({ names, passwords, limits }),
      undo: ({ session, names }) => session.dropLogins(names)
    },
    {
      ...make,
      undo: async work => {
        await make.undo?.(work)
        await work.session.dropDatabase(work.names)
      }
    },
    ...acts,
    { name: 'drop database', act: ({ session, names }) => session.dropDatabase(names) },
    { name: 'drop logins', act: ({ session, names }) => session.dropLogins(names) }
  ]
}

/** What a scratch database begins as a copy of. */
export type ScratchSource = NonNullable<Furnish['from']> & { bytes: number }

/** Makes the scratch database anew, empty or as a copy, whatever an earlier try left in it. Gives its owner's login. */
export async function makeScratch(work: ScratchWork<ScratchPlace>, from?: ScratchSource): Promise<Credentials> {
  const { session, names, owner, operation } = work
  const { databaseId } = operation.input
  await session.setPasswords(names, { owner: owner.password })
  await session.dropDatabase(names)
  await session.makeDatabase(names, from)
  await session.guardDatabase(names)
  await session.furnishDatabase({ names, databaseId, owner, ...(from && { from }) })
  return owner
}
