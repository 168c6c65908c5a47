import type pg from 'pg'
import { type DriverResult, newResult, type Shape, shapeOf, shapeWith, toWire, type Wire } from './wire.js'

/** What statements return, by name, as the server said when the connection first ran them: it would refuse to return anything else. */
export type Shapes = Map<string, Shape>

/**
 * One run of a statement that the connection has prepared, or prepares with this. The driver's own asks each time what the
 * columns are and is an event emitter: 4 of the 17 µs that a short query takes, more with more columns.
 */
export class PreparedStatement implements pg.Submittable {
  /** By these two the driver notes what a connection has prepared. */
  readonly name: string
  readonly text: string
  readonly #values: unknown[]
  readonly #shapes: Shapes
  readonly #settle: (error: unknown, result: DriverResult) => void
  readonly #client: pg.Client
  readonly #result: DriverResult
  #unreadable: unknown

  constructor(
    client: pg.Client,
    { name, text, values }: { name: string; text: string; values: unknown[] },
    shapes: Shapes,
    settle: (error: unknown, result: DriverResult) => void
  ) {
    this.name = name
    this.text = text
    this.#values = values
    this.#shapes = shapes
    this.#settle = settle
    this.#client = client
    this.#result = newResult(client)
  }

  /** For the driver, when it is this statement's turn. What it returns is passed to `handleError`. */
  submit(connection: pg.Connection): unknown {
    const wire = connection as Wire
    const { name, text } = this
    const shape = this.#shapes.get(name)
    let values: Array<Buffer | string | null>
    try {
      values = this.#values.map(value => toWire(value))
    } catch (error) {
      return error
    }
    wire.stream.cork()
    try {
      if (wire.parsedStatements[name] === undefined) wire.parse({ name, text, types: [] }, true)
      wire.bind({ statement: name, values }, true)
      if (shape) shapeWith(this.#result, shape, this.#client)
      else wire.describe({ type: 'P', name: '' }, true)
      wire.execute(null, true)
      wire.sync()
    } finally {
      wire.stream.uncork()
    }
    return null
  }

  handleRowDescription({ fields }: { fields: pg.FieldDef[] }): void {
    this.#result.addFields(fields)
  }

  handleDataRow({ fields }: { fields: unknown[] }): void {
    if (this.#unreadable !== undefined) return
    try {
      this.#result.addRow(this.#result.parseRow(fields))
    } catch (error) {
      this.#unreadable = error
    }
  }

  handleCommandComplete(message: object): void {
    this.#result.addCommandComplete(message)
    if (!this.#shapes.has(this.name)) this.#shapes.set(this.name, shapeOf(this.#result))
  }

  handleReadyForQuery(): void {
    this.#settle(this.#unreadable, this.#result)
  }

  handleError(error: unknown): void {
    this.#settle(error, this.#result)
  }

  /** Comments alone, with parameters: the server has nothing to run. */
  handleEmptyQuery(): void {}

  handleCopyInResponse(connection: Wire): void {
    connection.sendCopyFail('No source stream defined')
  }

  handleCopyData(): void {}
}
