import type { AppliedMigration } from './migration.js'

/** One thing that makes up a schema: a table, a column, an index. `kind` and `name` together are one thing's and no other's. */
export interface SchemaFact {
  kind: string
  name: string
  /** As the server prints it, so that two can be compared and shown. */
  definition: string
}

/** What a database's schema is, and which migrations its ledger says made it. */
export interface Schema {
  fingerprint: string
  /** What the fingerprint is the hash of; empty when it is the one that was known already. */
  facts: SchemaFact[]
  applied: AppliedMigration[]
}

export interface ReadOptions {
  /** The server's own bound on the statement. */
  timeoutMs: number
  /** Rows at most; what comes after them is not read. */
  maxRows: number
}

/** How two schemas differ in one thing. */
export interface Difference {
  kind: string
  name: string
  /** In the schema that is compared with: absent here is `null` in `expected` (extra) or in `found` (missing). */
  expected: string | null
  found: string | null
}

/** What is to be seen inside a database in one short visit. */
export interface Look {
  /** Names of the applied migrations, in their order. */
  applied: string[]
  /** Changes with every change of the schema, and is cheap to read; null on an engine that has no such thing. */
  stamp: string | null
  /** Absent when the stamp is the known one: then the schema is what it was. */
  fingerprint: string | null
}
