import type { Readable } from 'node:stream'
import type { RestoreOptions } from '../dump.js'
import type {
  ActingSession,
  Credentials,
  DatabaseLimits,
  DatabaseNames,
  Fence,
  Furnish,
  LoginRole,
  NewLogins,
  OwnerSession,
  ServerAccess,
  Takeover
} from '../engine.js'
import { bind } from './bindings.js'
import { connect } from './connect.js'
import type { ControlSessions } from './control-sessions.js'
import { dropDatabase, guardDatabase, makeDatabase, sealDatabase, unsealDatabase } from './databases.js'
import { answerOf } from './errors.js'
import { enterFence, sessionName } from './fence.js'
import { furnishDatabase } from './furnish.js'
import { setLimits } from './limits.js'
import { closeLogins, dropLogins, letOwnerHaveApps, makeLogins, openLogins, setPasswords } from './logins.js'
import { freeMigrationLock } from './migration-lock.js'
import { PostgresOwnerSession } from './owner-session.js'
import { restore } from './restore.js'
import type { Session } from './session.js'
import { PostgresTakeover } from './takeover.js'

/** A fenced control session. Each verb is one function in the file of its noun. */
export class PostgresActingSession implements ActingSession {
  readonly #sessions: ControlSessions
  readonly #server: ServerAccess
  readonly #session: Session
  readonly #fence: Fence

  private constructor(sessions: ControlSessions, server: ServerAccess, session: Session, fence: Fence) {
    this.#sessions = sessions
    this.#server = server
    this.#session = session
    this.#fence = fence
  }

  static async enter(sessions: ControlSessions, server: ServerAccess, fence: Fence): Promise<PostgresActingSession> {
    const session = await sessions.borrow(server, sessionName(fence))
    try {
      await enterFence(session, fence)
    } catch (error) {
      await sessions.giveBack(server, session)
      throw error
    }
    return new PostgresActingSession(sessions, server, session, fence)
  }

  makeLogins(logins: NewLogins) {
    return this.#fenced(() => makeLogins(this.#session, logins))
  }

  makeDatabase(names: DatabaseNames, template?: { names: DatabaseNames; bytes: number }) {
    return this.#fenced(() => makeDatabase(this.#session, names, template))
  }

  guardDatabase(names: DatabaseNames) {
    return this.#fenced(() => guardDatabase(this.#session, names))
  }

  furnishDatabase(furnish: Furnish) {
    const name = sessionName(this.#fence)
    return this.#fenced(() => furnishDatabase(this.#session, this.#server, name, furnish))
  }

  async restore(names: DatabaseNames, owner: Credentials, stream: Readable, options: RestoreOptions) {
    return await this.#fenced(async () => {
      const inside = await this.#inside(names, owner)
      try {
        return await restore(inside, names, stream, options, () => letOwnerHaveApps(this.#session, names))
      } finally {
        await inside.end()
      }
    })
  }

  setLimits(names: DatabaseNames, limits: DatabaseLimits) {
    return this.#fenced(() => setLimits(this.#session, names, limits))
  }

  setPasswords(names: DatabaseNames, passwords: NewLogins['passwords']) {
    return this.#fenced(() => setPasswords(this.#session, names, passwords))
  }

  openLogins(names: DatabaseNames, roles: LoginRole[]) {
    return this.#fenced(() => openLogins(this.#session, names, roles))
  }

  bind(names: DatabaseNames, text: string) {
    return this.#fenced(() => bind(this.#session, names, text))
  }

  closeLogins(names: DatabaseNames, roles: LoginRole[], graceMs = 0) {
    return this.#fenced(() => closeLogins(this.#session, names, roles, graceMs))
  }

  sealDatabase(names: DatabaseNames, graceMs = 0) {
    return this.#fenced(() => sealDatabase(this.#session, names, graceMs))
  }

  unsealDatabase(names: DatabaseNames) {
    return this.#fenced(() => unsealDatabase(this.#session, names))
  }

  dropDatabase(names: DatabaseNames) {
    return this.#fenced(() => dropDatabase(this.#session, names))
  }

  dropLogins(names: DatabaseNames) {
    return this.#fenced(() => dropLogins(this.#session, names))
  }

  async enterDatabase(names: DatabaseNames, owner: Credentials): Promise<OwnerSession> {
    return await this.#fenced(async () => {
      return new PostgresOwnerSession(await this.#inside(names, owner), {
        fenced: act => this.#fenced(act),
        freeMigrationLock: () => freeMigrationLock(this.#session, names)
      })
    })
  }

  get takeover(): Takeover {
    const verbs = new PostgresTakeover(this.#session, this.#server, sessionName(this.#fence))
    const fenced =
      <Of>(verb: (of: Of) => Promise<void>) =>
      (of: Of) =>
        this.#fenced(() => verb(of))
    return {
      letIn: fenced(adoption => verbs.letIn(adoption)),
      inspect: fenced(adoption => verbs.inspect(adoption)),
      letOut: fenced(adoption => verbs.letOut(adoption)),
      close: fenced(adoption => verbs.close(adoption)),
      handOver: fenced(adoption => verbs.handOver(adoption)),
      giveBack: fenced(release => verbs.giveBack(release))
    }
  }

  end() {
    return this.#sessions.giveBack(this.#server, this.#session)
  }

  /** A session of the owner's that carries the same fence. */
  async #inside(names: DatabaseNames, owner: Credentials): Promise<Session> {
    const inside = await connect(this.#server, {
      database: names.database,
      as: owner,
      applicationName: sessionName(this.#fence),
      // For migrations that grant to the app's group, whose name is another in every database.
      settings: { 'saasctl.app_role': names.app, 'saasctl.readonly_role': names.logins.readonly }
    })
    try {
      // Whoever overtook us ended this control session first: while it answers, the one just opened is covered too.
      await this.#session.run('SELECT')
    } catch (error) {
      inside.destroy()
      throw error
    }
    return inside
  }

  /** A session that somebody ended may mean that the operation was taken over: then that is the news. */
  async #fenced<Result>(act: () => Promise<Result>): Promise<Result> {
    try {
      return await act()
    } catch (error) {
      if (['57P01', 'ECONNRESET', 'EPIPE'].includes(answerOf(error)?.state ?? '')) await this.#fence.confirm()
      throw error
    }
  }
}
