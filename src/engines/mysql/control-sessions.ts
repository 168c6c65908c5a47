import { createHash } from 'node:crypto'
import type { ServerAccess } from '../engine.js'
import { connect } from './connect.js'
import type { Session } from './session.js'

const IDLE_PER_SERVER = 2

/** Sessions of the control login, kept for reuse: a connect costs 3 ms, a statement 0.1. */
export class ControlSessions {
  readonly #idle = new Map<string, Session[]>()
  #closed = false

  /** A session that answers. */
  async borrow(server: ServerAccess): Promise<Session> {
    const idle = this.#idle.get(key(server)) ?? []
    for (let session = idle.pop(); session; session = idle.pop()) {
      try {
        await session.run('DO 1')
        return session
      } catch {
        // It broke while it was idle; the next one may be whole.
        session.destroy()
      }
    }
    return await open(server)
  }

  async giveBack(server: ServerAccess, session: Session): Promise<void> {
    if (this.#closed || session.inDoubt) return await session.end()
    try {
      // Nothing of the operation stays on the session.
      await session.run('DO RELEASE_ALL_LOCKS()')
    } catch {
      return session.destroy()
    }
    // Read only now: while the session was cleaned, another may have been given back, or all may have been closed.
    const idle = this.#idle.get(key(server)) ?? []
    if (this.#closed || idle.length >= IDLE_PER_SERVER) return await session.end()
    this.#idle.set(key(server), [...idle, session])
  }

  async use<Result>(server: ServerAccess, act: (session: Session) => Promise<Result>): Promise<Result> {
    return await this.#using(server, await this.borrow(server), act)
  }

  /** Like `use`, on a new session: that it opens proves that the control login works now. */
  async useFresh<Result>(server: ServerAccess, act: (session: Session) => Promise<Result>): Promise<Result> {
    return await this.#using(server, await open(server), act)
  }

  async close(): Promise<void> {
    this.#closed = true
    const sessions = [...this.#idle.values()].flat()
    this.#idle.clear()
    await Promise.all(sessions.map(session => session.end()))
  }

  async #using<Result>(server: ServerAccess, session: Session, act: (session: Session) => Promise<Result>) {
    try {
      return await act(session)
    } finally {
      await this.giveBack(server, session)
    }
  }
}

function open(server: ServerAccess): Promise<Session> {
  return connect(server, { database: server.maintenance, as: server.control, programName: 'saasctl' })
}

/** The password is part of the key: a wrong one must not find a session that the right one opened. */
function key({ host, port, tls, maintenance, control }: ServerAccess): string {
  const whole = JSON.stringify([host, port, tls, maintenance, control.login, control.password.reveal()])
  return createHash('sha256').update(whole).digest('base64')
}
