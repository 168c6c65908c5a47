import type { Described, Objects } from './fingerprint.js'
import { hashOf, type Part } from './parts.js'
import { recordTable, type Step } from './records.js'
import type { Session } from './session.js'

/** What was written down of one statement. A statement about rows has no fingerprints: its row came with its commit. */
export interface Entry {
  position: number
  migration: string
  direction: Step['direction']
  hash: string
  before: string | null
  objectsBefore: Objects | null
  after: string | null
  done: boolean
}

export class Journal {
  readonly #session: Session
  readonly #table: string

  constructor(session: Session) {
    this.#session = session
    this.#table = recordTable(session.place.database, 'journal')
  }

  /** In the order of the statements. */
  async entries(): Promise<Entry[]> {
    const rows = await this.#session.rows<Omit<Entry, 'objectsBefore'> & { objects: string | null }>(
      `SELECT position, migration, direction, statement_hash AS hash, fingerprint_before AS \`before\`,
         objects_before AS objects, fingerprint_after AS \`after\`, done
       FROM ${this.#table} ORDER BY position`
    )
    return rows.map(({ objects, ...row }) => ({
      ...row,
      done: Boolean(row.done),
      objectsBefore: objects === null ? null : new Map(JSON.parse(objects))
    }))
  }

  /** Before a statement that commits itself: what the schema is without it. */
  async begin(step: Step, position: number, part: Part, { fingerprint, objects }: Described): Promise<void> {
    await this.#write(step, position, part, [fingerprint, JSON.stringify([...objects]), false])
  }

  /** After it. The objects have served: only a statement that is under way needs them. */
  async done(position: number, fingerprint: string): Promise<void> {
    await this.#session.run(
      `UPDATE ${this.#table} SET done = true, fingerprint_after = ?, objects_before = NULL WHERE position = ?`,
      [fingerprint, position]
    )
  }

  /** Beside a statement about rows, in the same transaction. */
  async wrote(step: Step, position: number, part: Part): Promise<void> {
    await this.#write(step, position, part, [null, null, true])
  }

  /** Takes back what was written of this statement and those behind it. */
  async forget(from = 0): Promise<void> {
    await this.#session.run(`DELETE FROM ${this.#table} WHERE position >= ?`, [from])
  }

  async #write({ file, direction }: Step, position: number, part: Part, rest: unknown[]): Promise<void> {
    await this.#session.run(
      `REPLACE INTO ${this.#table}
         (position, migration, direction, statement_hash, fingerprint_before, objects_before, done)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      [position, file.name, direction, hashOf(part), ...rest]
    )
  }
}
