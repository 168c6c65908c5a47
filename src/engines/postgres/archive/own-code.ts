import { answerOf } from '../errors.js'
import type { Session } from '../session.js'

/** What a name that the empty search path does not find is answered with. */
const UNDEFINED = ['42P01', '42883', '42704', '3F000']
/** The server or its operator says these, not the tenant's code: connections, resources, interventions, the system. */
const NOT_ITS_OWN = /^(?:08|53|57|58|XX)/

/**
 * While rows come in, and views and indexes are computed, the server runs functions of the tenant's own. They were made for
 * the search path of its sessions; that of a dump is empty, and a function that says `notes` for `public.notes` would keep
 * its whole database from coming back.
 */
export class OwnCode {
  readonly #session: Session
  #usual = false

  constructor(session: Session) {
    this.#session = session
  }

  /** For what names everything in full itself, as COPY does: the path is that of functions alone. */
  async usualPath(): Promise<void> {
    if (!this.#usual) await this.#session.run('SET LOCAL search_path = public')
    this.#usual = true
  }

  /** For text in which a bare name means the system's own, as everywhere in a dump. */
  async barePath(): Promise<void> {
    if (this.#usual) await this.#session.run(`SET LOCAL search_path = ''`)
    this.#usual = false
  }

  /** What computes from rows as it is made. Only where a function does not find its names is it said again with the usual path. */
  async define(statement: string): Promise<void> {
    await this.barePath()
    try {
      await this.#session.run(`SAVEPOINT own; ${statement}\n; RELEASE own`)
    } catch (error) {
      if (!UNDEFINED.includes(answerOf(error)?.state ?? '')) throw error
      await this.#session.run(
        `ROLLBACK TO own; SET LOCAL search_path = public; ${statement}\n; RELEASE own; SET LOCAL search_path = ''`
      )
    }
  }

  /** Fills a materialized view; gives what its query fails with. Its rows are not in the dump, and no reason to lose all others. */
  async refresh(statement: string): Promise<string | undefined> {
    await this.usualPath()
    try {
      await this.#session.run(`SAVEPOINT own; ${statement}\n; RELEASE own`)
      return undefined
    } catch (error) {
      const { state = 'XX', said = '' } = answerOf(error) ?? {}
      if (NOT_ITS_OWN.test(state)) throw error
      await this.#session.run('ROLLBACK TO own; RELEASE own')
      return said
    }
  }
}
