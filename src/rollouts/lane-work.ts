import type { Json } from '../canonical.js'
import type { OperationRow } from '../catalog/operations.js'
import type { HeldTarget, Lane } from '../catalog/rollout-lane.js'
import type { RolloutRow } from '../catalog/rollouts.js'
import { type ServerRow, serverById } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import { Logins } from '../databases/logins.js'
import type { ActingSession, Credentials, Engine, Fence, OwnerSession, ServerAccess } from '../engines/engine.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import type { Tools, Work } from '../operations/kind.js'
import { mustFindRollout } from './find.js'
import { Pace } from './pace.js'
import { schemasOf } from './plan.js'
import { changedFile, EngineSchema, type KeptFiles, type Schemas } from './schema.js'
import type { RolloutSettings } from './settings.js'

export interface LaneInput extends Record<string, Json> {
  rolloutId: string
  serverId: string
  wave: number
  /** Databases at once. */
  concurrency: number
}

export type Rollout = RolloutRow<RolloutSettings, KeptFiles>

/** What a lane's targets share: the rollout, its files, the server, and one fenced session on it. */
export class LaneWork implements Work {
  readonly tools: Tools
  readonly lane: Lane
  readonly rollout: Rollout
  readonly schema: EngineSchema
  readonly engine: Engine
  readonly pace: Pace
  /** What is no longer as it was planned, as a sentence: then no database is touched. */
  readonly change: string | undefined
  readonly #access: ServerAccess
  #session: ActingSession | undefined
  readonly #logins = new Map<string, Logins>()
  readonly #leaving = new Set<Promise<void>>()

  private constructor(
    tools: Tools,
    operation: OperationRow<LaneInput>,
    parts: { rollout: Rollout; schema: EngineSchema; engine: Engine; access: ServerAccess; change: string | undefined }
  ) {
    const { rolloutId, serverId, wave, concurrency } = operation.input
    this.tools = tools
    this.lane = { operation, rolloutId, serverId, wave }
    this.rollout = parts.rollout
    this.pace = new Pace(concurrency, parts.rollout.settings.pace)
    this.schema = parts.schema
    this.engine = parts.engine
    this.#access = parts.access
    this.change = parts.change
  }

  static async open(tools: Tools, operation: OperationRow<LaneInput>): Promise<LaneWork> {
    const { rolloutId, serverId } = operation.input
    const [rollout, server] = await Promise.all([
      mustFindRollout(tools.catalog, rolloutId),
      mustFindServer(tools, serverId)
    ])
    // Files that cannot even be read are changed ones, too.
    const read = await schemasOf(tools, rollout.template).catch(asSaasctlError)
    const schemas = read instanceof SaasctlError ? (new Map() as Schemas) : read
    const [engine, access] = await Promise.all([tools.engine(server.engine), serverAccess(tools.keys, server)])
    return new LaneWork(tools, operation, {
      rollout,
      schema: schemas.get(server.engine) ?? new EngineSchema([]),
      engine,
      access,
      change: read instanceof SaasctlError ? read.message : changedFile(schemas, rollout.files)
    })
  }

  get session(): ActingSession {
    if (!this.#session) throw new SaasctlError('FENCED', 'A lane acted on the server before the fence was taken.')
    return this.#session
  }

  /** The fence is the lane's: whoever takes it over ends every session that it had in a tenant's database. */
  async enter(fence: Fence): Promise<void> {
    this.#session = await this.engine.enter(this.#access, fence)
  }

  /** Reads the logins of targets that were just taken: one question for all, and none while one is worked. */
  async readLogins(targets: HeldTarget[]): Promise<void> {
    if (targets.length === 0) return
    const ids = targets.map(({ databaseId }) => databaseId)
    const logins = await Logins.ownersOf(this.tools.catalog, this.tools.keys, ids)
    for (const [id, its] of logins) this.#logins.set(id, its)
  }

  /** Of a target whose logins were read; its tenant is held, so that nobody changes them meanwhile. */
  async ownerOf({ databaseId }: HeldTarget): Promise<Credentials> {
    const logins = this.#logins.get(databaseId) ?? (await Logins.of(this.tools.catalog, this.tools.keys, databaseId))
    return logins.credentials('owner')
  }

  /** Logs in to a target's database as its owner, and looks how long the server takes for that. */
  async goIn(target: HeldTarget): Promise<OwnerSession> {
    const names = { ...this.engine.names(target.databaseId), database: target.database }
    const owner = await this.ownerOf(target)
    const from = performance.now()
    const inside = await this.session.enterDatabase(names, owner)
    this.pace.loggedIn(performance.now() - from)
    return inside
  }

  /** A target that is over, whatever became of it, keeps nothing here. */
  forget({ databaseId }: HeldTarget): void {
    this.#logins.delete(databaseId)
  }

  /** Ends a session in a tenant's database. A server needs 3 ms for a goodbye, in which the next one may begin. */
  async goOut(inside: OwnerSession): Promise<void> {
    const left = inside.end().finally(() => this.#leaving.delete(left))
    this.#leaving.add(left)
    if (this.#leaving.size >= this.pace.width) await Promise.race(this.#leaving)
  }

  async leave(): Promise<void> {
    await Promise.all(this.#leaving)
    const session = this.#session
    this.#session = undefined
    await session?.end()
  }
}

async function mustFindServer({ catalog }: Tools, id: string): Promise<ServerRow> {
  const server = await serverById(catalog, id)
  if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `The catalog has no server ${id}.`)
  return server
}
