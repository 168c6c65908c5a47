/** How a value stands in JSON and CSV; beside `integer` and `boolean` everything is text in JSON, because its numbers lose digits. */
export type ValueForm =
  /** At most 32 bits: a number in JSON too. */
  | 'integer'
  | 'bigint'
  | 'decimal'
  | 'float'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'json'
  /** Base64. A geometry of MySQL is one: its SRID in four bytes, little-endian, then its WKB. */
  | 'binary'
  /** As the server prints it. */
  | 'text'

export interface SnapshotColumn {
  name: string
  /** As the server writes it: `numeric(10,2)`. */
  type: string
  form: ValueForm
  nullable: boolean
  /** Computed by the server from other columns: exported, never loaded. */
  generated: boolean
}

export interface ForeignKey {
  columns: string[]
  table: { space: string | null; name: string }
  references: string[]
}

export interface SnapshotTable {
  /** The schema that it is in; null where a database has none. */
  space: string | null
  name: string
  columns: SnapshotColumn[]
  primaryKey: string[]
  uniqueKeys: string[][]
  foreignKeys: ForeignKey[]
}

/** A table's rows on their way back: values in the form of `columns`, which are all that the server does not compute. */
export interface TableRows {
  table: Pick<SnapshotTable, 'space' | 'name'>
  columns: readonly SnapshotColumn[]
  rows: AsyncIterable<ReadonlyArray<string | null>>
}

export type LineFormat = 'jsonl' | 'csv'

/** What happens to a column: left out, its values replaced by `[redacted]`, or by an HMAC-SHA-256 of the text with `hashKey`. */
export type MaskRule = 'drop' | 'redact' | 'hash'

export interface Masking {
  /** By column. */
  rules: Readonly<Record<string, MaskRule>>
  hashKey: Buffer
}

/** The rows of one table, on their way out: whole lines in pieces of any length, without a head. */
export interface Lines {
  stream: AsyncIterable<Buffer>
  /** How many rows there were; right when the stream has ended. */
  rows(): number
}

/** One moment of a tenant database, seen by its read-only login, for as long as it takes to read. One reader at a time. */
export interface Snapshot {
  /** Where in the server's history it is, as the server says it; null where this login may not see it. */
  position: string | null
  /** By the server's clock. */
  at: Date
  serverVersion: string
  tables: SnapshotTable[]
  /** What is in the database and not in the snapshot, one sentence each. */
  missing: string[]
  /** Where each generator of numbers stands, by its qualified name. */
  sequences: Record<string, string>
  lines(table: SnapshotTable, format: LineFormat, masking: Masking): Lines
  end(): Promise<void>
}

/** Where CSV says NULL; the text itself stands in quotes, and an empty text is nothing between two commas or quotes. */
export const CSV_NULL = '\\N'
export const REDACTED = '[redacted]'

export interface SnapshotOptions {
  /** Aborted, the session is ended, and whoever reads gets an error. */
  signal: AbortSignal
}
