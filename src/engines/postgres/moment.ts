import type { DumpFacts } from '../dump.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { fingerprintOf } from './fingerprint.js'
import { applied } from './ledger.js'
import { type CountedTable, countedTables, rowsOf } from './rows.js'
import type { Session } from './session.js'

export type MomentFacts = Pick<DumpFacts, 'rows' | 'fingerprint' | 'migrations'> & {
  tables: CountedTable[]
  /** Whether a fingerprint is of no more than a dump carries: an index that is not valid stays behind. */
  sound: boolean
}

/** A moment of a database that several sessions can look at together. */
export class Moment {
  readonly session: Session
  /** What `pg_dump --snapshot` takes. */
  readonly snapshot: string
  #asking = false

  private constructor(session: Session, snapshot: string) {
    this.session = session
    this.snapshot = snapshot
  }

  /** Holds the moment on a session of the owner's that may change nothing. */
  static async hold(server: ServerAddress, database: string, owner: Credentials): Promise<Moment> {
    const settings = {
      default_transaction_read_only: 'on',
      default_transaction_isolation: 'repeatable\\ read',
      statement_timeout: '0',
      idle_in_transaction_session_timeout: '0',
      // A table whose rows a policy hides even from its owner must be an error, not an empty table.
      row_security: 'off'
    }
    const session = await connect(server, { database, as: owner, applicationName: 'saasctl/dump', settings })
    try {
      await session.run('BEGIN')
      const [row] = await session.rows<{ snapshot: string }>('SELECT pg_catalog.pg_export_snapshot() AS snapshot')
      return new Moment(session, row?.snapshot ?? '')
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  async facts(): Promise<MomentFacts> {
    this.#asking = true
    const tables = await countedTables(this.session)
    const facts = {
      tables,
      rows: await rowsOf(this.session, tables),
      fingerprint: await fingerprintOf(this.session),
      sound: await everyIndexIsValid(this.session),
      migrations: await applied(this.session)
    }
    this.#asking = false
    return facts
  }

  /** Lets go of it in the middle of something. */
  abandon(): void {
    this.session.destroy()
  }

  /** Lets go of it. A question that is still under way is not waited for. */
  release(): void {
    if (this.#asking) {
      this.session.destroy()
      return
    }
    void this.session.run('ROLLBACK').then(
      () => this.session.leave(),
      () => this.session.destroy()
    )
  }
}

async function everyIndexIsValid(session: Session): Promise<boolean> {
  return (await session.rows('SELECT FROM pg_catalog.pg_index WHERE NOT indisvalid LIMIT 1')).length === 0
}
