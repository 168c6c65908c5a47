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
  /** Whether a file may have left settings on the session. */
  #used = false

  constructor(session: Session, keeper: Keeper) {
    this.#session = session
    this.#keeper = keeper
  }

  applied() {
    return this.#settled(() => applied(this.#session))
  }

  apply(file: MigrationFile, direction: 'up' | 'down', after: string | null) {
    return this.#settled(() => {
      this.#used = true
      return apply(this.#session, file, direction, after, () => this.#keeper.freeMigrationLock())
    })
  }

  foreignLedger() {
    return this.#settled(() => foreignLedger(this.#session))
  }

  load(stream: Readable) {
    return this.#settled(() => load(this.#session, stream))
  }

  baseline(applied: ReadonlyArray<{ name: string }>) {
    return this.#settled(() => baseline(this.#session, applied))
  }

  run(sql: string) {
    return this.#settled(() => runScript(this.#session, sql))
  }

  fingerprint() {
    return this.#settled(() => fingerprintOf(this.#session))
  }

  facts() {
    return this.#settled(() => factsOf(this.#session))
  }

  replaceRows(tables: readonly TableRows[], sequences: Readonly<Record<string, string>>) {
    return this.#settled(() => replaceRows(this.#session, tables, sequences))
  }

  bytes() {
    return this.#settled(async () => {
      const [row] = await this.#session.rows<{ bytes: string }>(
        'SELECT pg_catalog.pg_database_size(pg_catalog.current_database())::text AS bytes'
      )
      return Number(row?.bytes)
    })
  }

  rows() {
    return this.#settled(() => rowsOf(this.#session))
  }

  writes() {
    return this.#settled(() => writesOf(this.#session))
  }

  end() {
    return this.#session.end()
  }

  /** Most sessions end after one file: what it has set is taken back when something else follows, at 0.2 ms a time. */
  #settled<Result>(act: () => Promise<Result>): Promise<Result> {
    return this.#keeper.fenced(async () => {
      if (this.#used) await this.#session.run('RESET ALL')
      this.#used = false
      return await act()
    })
  }
}
