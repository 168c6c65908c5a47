import type { Readable } from 'node:stream'
import type { AppliedMigration, DatabaseNames, MigrationFile, OwnerSession } from '../engine.js'
import type { TableRows } from '../snapshot.js'
import { replaceRows } from './export/load.js'
import { factsOf, fingerprintOf } from './fingerprint.js'
import { applied, baseline } from './ledger.js'
import { load } from './load.js'
import { apply } from './migrate.js'
import { rowsOf } from './rows.js'
import { runScript } from './script.js'
import type { Session } from './session.js'
import { writesOf } from './writes.js'

/** Runs an act; when the session was ended from outside, the catalog says whether the operation is still ours. */
type Fenced = <Result>(act: () => Promise<Result>) => Promise<Result>

export class MysqlOwnerSession implements OwnerSession {
  readonly #session: Session
  readonly #names: DatabaseNames
  readonly #fenced: Fenced

  constructor(session: Session, names: DatabaseNames, fenced: Fenced) {
    this.#session = session
    this.#names = names
    this.#fenced = fenced
  }

  applied() {
    return this.#fenced(() => applied(this.#session))
  }

  apply(file: MigrationFile, direction: 'up' | 'down', after: string | null) {
    return this.#fenced(() => apply(this.#session, file, direction, after))
  }

  /** Nothing that migrates MySQL keeps a ledger in this form. */
  foreignLedger(): Promise<AppliedMigration[] | null> {
    return Promise.resolve(null)
  }

  load(stream: Readable) {
    return this.#fenced(() => load(this.#session, stream))
  }

  baseline(applied: ReadonlyArray<{ name: string }>) {
    return this.#fenced(() => baseline(this.#session, applied))
  }

  run(sql: string) {
    return this.#fenced(() => runScript(this.#session, sql))
  }

  fingerprint() {
    return this.#fenced(() => fingerprintOf(this.#session))
  }

  facts() {
    return this.#fenced(() => factsOf(this.#session))
  }

  replaceRows(tables: readonly TableRows[], sequences: Readonly<Record<string, string>>) {
    return this.#fenced(() => replaceRows(this.#session, tables, sequences))
  }

  bytes() {
    return this.#fenced(async () => {
      const [row] = await this.#session.rows<{ bytes: string | null }>(
        `SELECT SUM(DATA_LENGTH + INDEX_LENGTH) AS bytes FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?`,
        [this.#names.database]
      )
      return Number(row?.bytes ?? 0)
    })
  }

  rows() {
    return this.#fenced(() => rowsOf(this.#session))
  }

  writes() {
    return this.#fenced(() => writesOf(this.#session))
  }

  end() {
    return this.#session.end()
  }
}
