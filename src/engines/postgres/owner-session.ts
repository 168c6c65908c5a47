import type { Readable } from 'node:stream'
import type { MigrationFile, OwnerSession } from '../engine.js'
import type { TableRows } from '../snapshot.js'
import { baseline, foreignLedger } from './baseline.js'
import { replaceRows } from './export/load.js'
import { factsOf, fingerprintOf } from './fingerprint.js'
import { applied } from './ledger.js'
import { load } from './load.js'
import { apply } from './migrate.js'
import { rowsOf } from './rows.js'
import { runScript } from './script.js'
import type { Session } from './session.js'
import { writesOf } from './writes.js'

/** What a session inside a database needs of the control session that opened it. */
export interface Keeper {
  /** Runs an act; when the session was ended from outside, the catalog says whether the operation is still ours. */
  fenced<Result>(act: () => Promise<Result>): Promise<Result>
  freeMigrationLock(): Promise<boolean>
}

export class PostgresOwnerSession implements OwnerSession {
  readonly #session: Session
  readonly #keeper: Keeper

  constructor(session: Session, keeper: Keeper) {
    this.#session = session
    this.#keeper = keeper
  }

  applied() {
    return this.#keeper.fenced(() => applied(this.#session))
  }

  apply(file: MigrationFile, direction: 'up' | 'down', after: string | null) {
    return this.#keeper.fenced(() =>
      apply(this.#session, file, direction, after, () => this.#keeper.freeMigrationLock())
    )
  }

  foreignLedger() {
    return this.#keeper.fenced(() => foreignLedger(this.#session))
  }

  load(stream: Readable) {
    return this.#keeper.fenced(() => load(this.#session, stream))
  }

  baseline(applied: ReadonlyArray<{ name: string }>) {
    return this.#keeper.fenced(() => baseline(this.#session, applied))
  }

  run(sql: string) {
    return this.#keeper.fenced(() => runScript(this.#session, sql))
  }

  fingerprint() {
    return this.#keeper.fenced(() => fingerprintOf(this.#session))
  }

  facts() {
    return this.#keeper.fenced(() => factsOf(this.#session))
  }

  replaceRows(tables: readonly TableRows[], sequences: Readonly<Record<string, string>>) {
    return this.#keeper.fenced(() => replaceRows(this.#session, tables, sequences))
  }

  bytes() {
    return this.#keeper.fenced(async () => {
      const [row] = await this.#session.rows<{ bytes: string }>(
        'SELECT pg_catalog.pg_database_size(pg_catalog.current_database())::text AS bytes'
      )
      return Number(row?.bytes)
    })
  }

  rows() {
    return this.#keeper.fenced(() => rowsOf(this.#session))
  }

  writes() {
    return this.#keeper.fenced(() => writesOf(this.#session))
  }

  end() {
    return this.#session.end()
  }
}
