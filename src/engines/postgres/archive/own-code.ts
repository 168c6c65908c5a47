import { answerOf } from '../errors.js'
import type { Session } from '../session.js'

/** What a name that the empty search path does not find is answered with. */
const UNDEFINED = ['42P01', '42883', '42704', '3F000']
/** The server or its operator says these, not the tenant's code: connections, resources, interventions, the system. */
const NOT_ITS_OWN = /^(?:08|53|57|58|XX)/

/** A statement of the dump, and whether it computes from rows as it is run. */
export interface Definition {
  text: string
  computed: boolean
}

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

  /** All in one message. Only where a function does not find its names is each said again by itself. */
  async define(definitions: readonly Definition[]): Promise<void> {
    if (definitions.length === 0) return
    await this.barePath()
    const together = definitions.map(({ text }) => text).join('\n;\n')
    if (!definitions.some(({ computed }) => computed)) return await this.#session.run(together)
    if (await this.#found(together)) return
    for (const { text, computed } of definitions) {
      if (!computed) await this.#session.run(text)
      else if (!(await this.#found(text)))
        await this.#session.run(`SET LOCAL search_path = public; ${text}\n; SET LOCAL search_path = ''`)
    }
  }

  /** False, and nothing has happened, when a name was not found. */
  async #found(text: string): Promise<boolean> {
    try {
      await this.#session.run(`SAVEPOINT own; ${text}\n; RELEASE own`)
      return true
    } catch (error) {
      if (!UNDEFINED.includes(answerOf(error)?.state ?? '')) throw error
      await this.#session.run('ROLLBACK TO own; RELEASE own')
      return false
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
