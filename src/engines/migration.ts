/** One migration file, read and hashed once. The text between the `-- Up Migration` and `-- Down Migration` lines. */
export interface MigrationFile {
  /** File name without its ending, as node-pg-migrate records it. */
  name: string
  up: string
  /** `null` when the file has no down part: it cannot be undone. */
  down: string | null
  /** The line of the file on which each part begins, for messages. */
  lines?: { up: number; down: number }
  /** SHA-256 of the file's bytes, hex. */
  checksum: string
  options: MigrationOptions
}

/** From `-- saasctl: key=value` lines at the top of the file. */
export interface MigrationOptions {
  /** `false` for statements that cannot run in a transaction, such as CREATE INDEX CONCURRENTLY. */
  transaction: boolean
  /**
   * Milliseconds to wait for locks in all, 0 for ever; 2,000 unless the file says otherwise. No single wait is longer than
   * two seconds, but for what works CONCURRENTLY and keeps nobody out.
   */
  lockTimeoutMs: number
  statementTimeoutMs: number | null
  /** May run although a later-named file was applied before it. */
  outOfOrder: boolean
  /** `expand` by default; a `contract` file takes away what older programs still use. */
  phase: 'expand' | 'contract'
}

export interface AppliedMigration {
  name: string
  at: Date
}
