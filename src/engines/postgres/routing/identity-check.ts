import type pg from 'pg'
import { SaasctlError } from '../../../errors.js'
import type { Place } from '../errors.js'
import { SCHEMA } from '../furnish.js'

const QUERY = `SELECT database_id::text FROM ${SCHEMA}.identity LIMIT 2`

/**
 * Reads the identity row. It is sent together with the last message of the login, so that it costs no round trip of its own:
 * the server reads it as soon as it has let us in. Settles before anything else may use the connection.
 */
export class IdentityCheck implements pg.Submittable {
  readonly #databaseId: string
  readonly #place: Place
  readonly #settle: (error?: unknown) => void
  readonly #ids: unknown[] = []
  #sent = false
  #failure: unknown

  constructor(databaseId: string, place: Place, settle: (error?: unknown) => void) {
    this.#databaseId = databaseId
    this.#place = place
    this.#settle = settle
  }

  /** Puts it on the wire; once, whoever asks first. */
  submit(connection: pg.Connection): void {
    if (!this.#sent) connection.query(QUERY)
    this.#sent = true
  }

  handleDataRow({ fields }: { fields: unknown[] }): void {
    this.#ids.push(fields[0])
  }

  handleError(error: unknown): void {
    this.#failure = error
    // A broken connection says nothing more; after an answer of the server, it is ready for another statement.
    if (!isAnswer(error)) this.#settle(error)
    else this.#settle(this.#refusalOf(error.code) ?? error)
  }

  handleReadyForQuery(): void {
    if (this.#failure !== undefined) return
    const [id] = this.#ids
    if (this.#ids.length === 1 && id === this.#databaseId) this.#settle()
    else this.#settle(this.#wrong(this.#found()))
  }

  handleRowDescription(): void {}
  handleCommandComplete(): void {}

  #found(): string {
    if (this.#ids.length > 1) return 'has more than one identity row'
    return this.#ids[0] === undefined ? 'has no identity row' : `says that it is ${String(this.#ids[0])}`
  }

  #refusalOf(state: string): SaasctlError | undefined {
    if (state === '42P01' || state === '3F000') return this.#wrong('has no identity table')
    return state === '42501' ? this.#wrong('does not show its identity row to this login') : undefined
  }

  #wrong(what: string): SaasctlError {
    const { host, port, database } = this.#place
    return new SaasctlError('IDENTITY_WRONG', `The database "${database}" on ${host}:${port} ${what}.`, {
      hint: 'Nobody is let in. Find out which database it is with `saasctl doctor` before anything else.'
    })
  }
}

const isAnswer = (error: unknown): error is { code: string } =>
  error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string'
