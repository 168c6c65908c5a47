import pg from 'pg'

/** What of the driver is used beyond its types. A change of any of it fails the tests of this folder. */
export interface Wire extends pg.Connection {
  sendSASLInitialResponseMessage(mechanism: string, response: string): void
  sendSCRAMClientFinalMessage(response: string): void
  readonly parsedStatements: Record<string, string | undefined>
  sendCopyFail(reason: string): void
}

interface Insides {
  /** The server waits for a statement: nothing runs, and the transaction's status is known. */
  readyForQuery?: boolean
  /** Absent or null when no statement runs, also between its error and the server's "ready". */
  _activeQuery?: unknown
  _queryQueue?: unknown[]
  processID: number | null
  secretKey: number | null
}

export const wireOf = (client: pg.Client): Wire => client.connection as Wire

/** A client that has never been ready, or whose driver no longer says so, counts as busy. */
export const isReady = (client: pg.Client): boolean => (client as unknown as Insides).readyForQuery === true

/** The statement that runs, as a thing to be told from the next one; null or undefined when none does. */
export const statementOf = (client: pg.Client): unknown => (client as unknown as Insides)._activeQuery

/** A statement has failed and nothing follows: all that is missing is the server's "ready", which says how it stands. */
export function isSettling(client: pg.Client): boolean {
  const { readyForQuery, _activeQuery, _queryQueue } = client as unknown as Insides
  return readyForQuery === false && !_activeQuery && _queryQueue?.length === 0
}

export function sessionOf(client: pg.Client): { processId: number; secretKey: number } | undefined {
  const { processID, secretKey } = client as unknown as Insides
  return processID === null || secretKey === null ? undefined : { processId: processID, secretKey }
}

/** What the driver makes an answer with. */
export interface DriverResult extends pg.QueryResult {
  addFields(fields: pg.FieldDef[]): void
  addRow(row: object): void
  addCommandComplete(message: object): void
  parseRow(fields: unknown[]): object
  _parsers: Array<(value: string) => unknown>
  _prebuiltEmptyResultObject: object | null
}

export const newResult = (client: pg.Client): DriverResult =>
  new pg.Result('', client as unknown as typeof pg.types) as unknown as DriverResult

/** What a result is made of that is the same at each run of a statement. */
export interface Shape {
  readonly fields: pg.FieldDef[]
  readonly empty: object | null
}

export const shapeOf = ({ fields, _prebuiltEmptyResultObject: empty }: DriverResult): Shape => ({ fields, empty })

/** As `addFields` does it. Parsers are looked up anew, because an application may register others at any time. */
export function shapeWith(result: DriverResult, { fields, empty }: Shape, client: pg.Client): void {
  result.fields = fields
  result._prebuiltEmptyResultObject = empty
  result._parsers = fields.map(({ dataTypeID }) => client.getTypeParser(dataTypeID, 'text'))
}

/** A parameter as it goes to the server: the driver's rules for dates, arrays, buffers and objects. */
export const toWire = (pg as unknown as { utils: { prepareValue(value: unknown): Buffer | string | null } }).utils
  .prepareValue
