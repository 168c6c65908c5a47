import type { Readable } from 'node:stream'

/** One consistent copy of a tenant database, on its way out. */
export interface Dump {
  /** What `restore` must be told to read it. */
  format: string
  /** Whether the format has compressed the rows already. */
  compressed: boolean
  /** Ends only after everything went well: what was read until then is whole. Any failure destroys it with one of our errors. */
  stream: Readable
  /** Resolves when the stream has ended well, and fails with what destroyed it. */
  facts: Promise<DumpFacts>
}

export interface DumpFacts {
  /** What `restore` must be told to read it. */
  format: string
  /** The program that made it, with its version, for people. */
  tool: string
  serverVersion: string
  /** Rows of each table in the dump, by its qualified name. */
  rows: Record<string, number>
  /** Of the schema in the dump, as `OwnerSession.fingerprint` gives it after a restore. */
  fingerprint: string
  /** What of the ledger of migrations is in the dump, in its order. */
  migrations: Array<{ name: string }>
}

export interface DumpOptions {
  /** Aborted, the tool is ended and the stream destroyed. */
  signal: AbortSignal
  /** The value of PATH, to find programs by. */
  path: string
}

export interface MakeDump extends DumpOptions {
  /** What the schema's fingerprint was when somebody last looked: a hint, which makes a dump of it cheaper. */
  fingerprint?: string | null
}

export interface RestoreOptions extends DumpOptions {
  format: string
}

/** What a restore says besides that it succeeded. */
export interface Played {
  /**
   * How many rows of the dump the server has taken into each table, where it counts them. There may be others afterwards:
   * what a tenant's own functions wrote while its views and indexes were computed.
   */
  rows: Record<string, number>
  /** What is not as it was and takes nothing from the rest, a sentence each. */
  notes: string[]
}
