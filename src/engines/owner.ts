import type { Readable } from 'node:stream'
import type { AppliedMigration, MigrationFile } from './migration.js'
import type { SchemaFact } from './schema.js'
import type { ReplaceRows } from './snapshot.js'

/** A session inside one tenant database, as its owner: never more. */
export interface OwnerSession extends ReplaceRows {
  /** In the order they were applied. */
  applied(): Promise<AppliedMigration[]>
  /**
   * Applies one file in one direction, with its ledger row, atomically where the file allows a transaction.
   * Refuses when the ledger does not end at `after` (somebody else migrated meanwhile).
   */
  apply(file: MigrationFile, direction: 'up' | 'down', after: string | null): Promise<void>
  /**
   * Plays a plain dump of the engine's own tool; owners and rights in it are left out, what it makes is the owner's. The
   * session is of no other use afterwards. MIGRATION_FAILED says where it failed.
   */
  load(stream: Readable): Promise<void>
  /** What a ledger of node-pg-migrate says that is not ours; null where there is none. */
  foreignLedger(): Promise<AppliedMigration[] | null>
  /** Makes our ledger say just this, and takes a foreign one away that said it. */
  baseline(applied: ReadonlyArray<{ name: string }>): Promise<void>
  /** Runs the statements of a file as one script: a template's seed. */
  run(sql: string): Promise<void>
  /** Hash of the schema: columns, constraints, indexes, functions, triggers; the same after dump and restore. */
  fingerprint(): Promise<string>
  /** The same thing by thing. */
  facts(): Promise<SchemaFact[]>
  bytes(): Promise<number>
  /** How many rows each table has, by its qualified name, as `DumpFacts.rows` counts them. */
  rows(): Promise<Record<string, number>>
  /** The same twice means that nothing was written in between. */
  writes(): Promise<string>
  /** Stays the same while no row is written: two of the same mean that nothing was in between. */
  writes(): Promise<string>
  end(): Promise<void>
}
