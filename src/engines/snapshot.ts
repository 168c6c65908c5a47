import type { DumpOptions } from './dump.js'
import type { Credentials, ServerAddress } from './engine.js'

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
  /** By what another session on the same database sees the same moment, while it is held; null where that cannot be. */
  handle: string | null
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

export interface SchemaOptions extends DumpOptions {
  handle: string | null
}

/** What an engine can do for exports. */
export interface SnapshotVerbs {
  /**
   * Logs in as the read-only login and holds one moment of the database for as long as it is read, which the server's own
   * limits for applications do not shorten. Rows that this login may not see are an error. `end` it; aborting ends it too.
   */
  openSnapshot(server: ServerAddress, database: string, as: Credentials, options: SnapshotOptions): Promise<Snapshot>
  /**
   * The statements that make the schema, as the owner, who changes nothing; at the moment that `handle` names, else now.
   * TOOL_MISSING names the package of what it takes, where there is nothing of our own to make it with.
   */
  schemaSql(server: ServerAddress, database: string, owner: Credentials, options: SchemaOptions): Promise<string>
}

/** What the owner of a database can do with an export. */
export interface ReplaceRows {
  /**
   * Replaces all rows of the database by these and sets its generators of numbers, without running triggers; keys between
   * tables hold again at the end. Whole or not at all where DDL rolls back. INVALID_INPUT when tables or columns differ.
   */
  replaceRows(tables: readonly TableRows[], sequences: Readonly<Record<string, string>>): Promise<void>
}
