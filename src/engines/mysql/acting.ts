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
import { connect, type Way } from './connect.js'
import type { ControlSessions } from './control-sessions.js'
import { dropDatabase, guardDatabase, makeDatabase, sealDatabase, unsealDatabase } from './databases.js'
import { answerOf } from './errors.js'
import { enterFence, sessionName, takeSeat } from './fence.js'
import { furnishDatabase } from './furnish.js'
import { setLimits } from './limits.js'
import { closeLogins, dropLogins, makeLogins, openLogins, setPasswords } from './logins.js'
import { MysqlOwnerSession } from './owner-session.js'
import { restore } from './restore.js'
import type { Session } from './session.js'
import { mysqlTakeover } from './takeover.js'

/** A fenced control session. Each verb is one function in the file of its noun. */
export class MysqlActingSession implements ActingSession {
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

  static async enter(sessions: ControlSessions, server: ServerAccess, fence: Fence): Promise<MysqlActingSession> {
    const session = await sessions.borrow(server)
    try {
      await enterFence(session, fence)
    } catch (error) {
      await sessions.giveBack(server, session)
      throw error
    }
    return new MysqlActingSession(sessions, server, session, fence)
  }

  makeLogins(logins: NewLogins) {
    return this.#fenced(() => makeLogins(this.#session, logins))
  }

  makeDatabase(names: DatabaseNames) {
    return this.#fenced(() => makeDatabase(this.#session, names))
  }

  guardDatabase(names: DatabaseNames) {
    return this.#fenced(() => guardDatabase(this.#session, names))
  }

  furnishDatabase(furnish: Furnish) {
    return this.#fenced(() => furnishDatabase(this.#session, way => this.#open(way), furnish))
  }

  async restore(names: DatabaseNames, owner: Credentials, stream: Readable, options: RestoreOptions) {
    return await this.#fenced(async () => {
      const inside = await this.#open({ database: names.database, as: owner })
      try {
        await restore(inside, names, stream, options)
        return { rows: {}, notes: [] }
      } finally {
        // Its settings are the script's.
        inside.destroy()
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
      const inside = await this.#open({ database: names.database, as: owner })
      return new MysqlOwnerSession(inside, names, act => this.#fenced(act))
    })
  }

  get takeover(): Takeover {
    const verbs = mysqlTakeover(this.#session, way => this.#open(way))
    const fenced =
      <Of>(verb: (of: Of) => Promise<void>) =>
      (of: Of) =>
        this.#fenced(() => verb(of))
    return {
      letIn: fenced(verbs.letIn),
      inspect: fenced(verbs.inspect),
      letOut: fenced(verbs.letOut),
      close: fenced(verbs.close),
      handOver: fenced(verbs.handOver),
      giveBack: fenced(verbs.giveBack)
    }
  }

  end() {
    return this.#sessions.giveBack(this.#server, this.#session)
  }

  /** A session of a tenant's own login that carries the same fence. */
  async #open(way: Pick<Way, 'database' | 'as'>): Promise<Session> {
    const inside = await connect(this.#server, { ...way, programName: sessionName(this.#fence) })
    try {
      await takeSeat(inside, this.#fence)
      // Whoever overtook us ended this control session first: while it answers, the one just opened is covered too.
      await this.#session.run('DO 1')
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
      if (ENDED.includes(answerOf(error)?.state ?? '')) await this.#fence.confirm()
      throw error
    }
  }
}

/** How a session learns that it was killed: in a statement, between two, and when it asks again. */
const ENDED = ['1927', '3169', '1053', 'ECONNRESET', 'EPIPE', 'PROTOCOL_CONNECTION_LOST']
