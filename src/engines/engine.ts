import type { Readable } from 'node:stream'
import type { Secret } from '../secret.js'
import type { Survey, Takeover } from './adoption.js'
import type { Dump, MakeDump, Played, RestoreOptions } from './dump.js'
import type { AppliedMigration, MigrationFile } from './migration.js'
import type { OwnerSession } from './owner.js'
import type { Difference, Look, ReadOptions, Schema } from './schema.js'
import type { ShellCommand } from './shell-command.js'
import type { SnapshotVerbs } from './snapshot.js'

export type { Adoption, Release, Survey, Takeover } from './adoption.js'
export type { AppliedMigration, MigrationFile, MigrationOptions } from './migration.js'
export type { OwnerSession } from './owner.js'
export type { Difference, Look, ReadOptions, Schema, SchemaFact } from './schema.js'
export type { ShellCommand } from './shell-command.js'

/** MySQL and MariaDB are one engine with a flavour found at `server add`. */
export type EngineName = 'postgres' | 'mysql'

export interface Tls {
  /** `disable` is for loopback and sockets only. `verify-full` checks the chain and the host name. */
  mode: 'disable' | 'verify-full'
  /** PEM of the authority; absent means the system's own. */
  ca?: string
}

export interface ServerAddress {
  host: string
  port: number
  tls: Tls
}

export interface Credentials {
  login: string
  password: Secret
}

/** A server and the control login's way into it. `maintenance` is the database that control sessions sit in. */
export interface ServerAccess extends ServerAddress {
  control: Credentials
  maintenance: string
}

/** The four logins of one tenant database. Two app logins, so that a password can be changed without one failed request. */
export const loginRoles = ['owner', 'app_a', 'app_b', 'readonly'] as const
export type LoginRole = (typeof loginRoles)[number]

/** Every name that one tenant database has on its server; all are made from the database's id. */
export interface DatabaseNames {
  database: string
  /** Group of all four logins: membership is the right to connect (same name as the database, for pg_hba's `samerole`). */
  members: string
  /** Group that both app logins become (`SET role`), so that what they create survives a rotation. */
  app: string
  logins: Record<LoginRole, string>
}

/** What a plan bounds on the server itself. `null` leaves the server's own setting. */
export interface DatabaseLimits {
  /** Connections of the app logins together, and of the database (a few more for the control plane). */
  connections: number
  statementTimeoutMs: number | null
  idleInTransactionMs: number | null
  /** Only where the server lets the control login set it; otherwise reported as an absent capability. */
  tempFileMb: number | null
}

/** What a server can do, found by looking. Code asks these, never the engine's name. */
export interface Capabilities {
  /** A database can be made as a copy of another. */
  templateCopy: boolean
  /** DDL rolls back with its transaction. */
  transactionalDdl: boolean
  /** `temp_file_limit` may be set by the control login. */
  tempFileLimit: boolean
  /** Sessions of tenants can be ended by the control login. */
  terminateSessions: boolean
  /** The server ends statements of every kind, and idle transactions, by a plan's time. Without it, the router does. */
  timeLimits: boolean
}

export interface ServerFacts {
  /** As the server prints it, for people: `15.18`. */
  version: string
  /** For comparisons: 15, 16, 17 … */
  major: number
  flavour: 'postgres' | 'mysql' | 'mariadb'
  capabilities: Capabilities
}

/** One line of `server check` and `doctor`. */
export interface Finding {
  level: 'ok' | 'warning' | 'error'
  /** Stable, for machines: `control.createdb`. */
  code: string
  message: string
  /** What to run, exactly, to mend it. */
  fix?: string
}

/** What the linter says of one migration file. */
export interface LintFinding extends Finding {
  /** The file's name with its ending. */
  file: string
  line?: number
  /** The table that it is about, as the server knows it, where the statement names one. */
  table?: string
}

/** What is there of one tenant database; the basis of every repeatable verb. */
export interface DatabaseState {
  /** `debris`: a create or drop was killed; it can only be dropped. `closed`: nobody may connect. */
  database: 'absent' | 'closed' | 'open' | 'debris'
  /** Whether each login exists and may log in. */
  logins: Record<LoginRole, 'absent' | 'closed' | 'open'>
  bytes: number
}

/** A database or login of ours by its form (`databaseIdOf`), wherever it belongs: for `doctor`. */
export interface Inventory {
  databases: Array<{ name: string; state: Exclude<DatabaseState['database'], 'absent'>; bytes: number }>
  logins: Array<{ name: string; open: boolean }>
}

/** Who a database belongs to, sealed: a text that says nothing to the server and to other catalogs. */
export interface Binding {
  database: string
  text: string
}

/**
 * The proof that a side effect still belongs to its operation. The acting session's name on the server carries
 * operation and epoch; whoever takes the operation over ends older sessions before it looks.
 */
export interface Fence {
  operation: string
  epoch: number
  /** What is locked on the server while the session lives, any text: two operations with the same never act at once. */
  lock: string
  /** Re-reads the epoch from the catalog; throws FENCED when another process owns the operation. Called after the lock is held. */
  confirm(): Promise<void>
}

/**
 * The contract of an engine. No driver error leaves its folder: each becomes one of our codes, scrubbed of secrets,
 * with `retryable` decided by the engine's one table.
 */
export interface Engine extends SnapshotVerbs {
  readonly name: EngineName
  readonly defaultPort: number
  /** The database that control sessions sit in, unless told otherwise. */
  readonly maintenance: string
  /** The names of one database; pure. */
  names(databaseId: string): DatabaseNames
  /** Connects as control and says what the server is and can do. Refuses versions that are not supported. */
  probe(server: ServerAccess): Promise<ServerFacts>
  /** Looks for every right and setting the control plane needs, with the exact statement that grants a missing one. */
  check(server: ServerAccess): Promise<Finding[]>
  /** The databases and logins on the server that have the form of ours. */
  inventory(server: ServerAccess): Promise<Inventory>
  /** What `bind` has written on the server, whosever it is, each with the database that it is written for. */
  bindings(server: ServerAccess): Promise<Binding[]>
  /** What there is of one database. Absence is an answer, not an error. */
  state(server: ServerAccess, names: DatabaseNames): Promise<DatabaseState>
  /** Opens a fenced session: ends sessions of older epochs, takes the operation's lock on the server, then `confirm`s. */
  enter(server: ServerAccess, fence: Fence): Promise<ActingSession>
  /** Logs in as one of the database's own logins, reads the identity row and ends the session; IDENTITY_WRONG for another id. */
  identify(server: ServerAddress, database: string, as: Credentials, databaseId: string): Promise<void>
  /**
   * Logs in as a read-only login, runs one statement in a session that may change nothing, and logs out. `timeoutMs` is the
   * server's own bound on it.
   */
  read(
    server: ServerAddress,
    database: string,
    as: Credentials,
    sql: string,
    options: { timeoutMs: number }
  ): Promise<Array<Record<string, unknown>>>
  /**
   * The same for any number of rows: hands them on in batches and waits until each is taken, so that memory stays flat.
   * `cut` says that there were more than `maxRows`. One statement alone; one that writes is refused by the server.
   */
  readRows(
    server: ServerAddress,
    database: string,
    as: Credentials,
    sql: string,
    options: ReadOptions,
    take: (rows: Array<Record<string, unknown>>) => Promise<void>
  ): Promise<{ rows: number; cut: boolean }>
  /** The schema, read as the database's owner; its facts only when the fingerprint is another than `known`. */
  describe(server: ServerAddress, database: string, owner: Credentials, known?: string | null): Promise<Schema>
  /** SQL that would make the found schema the expected one, for a person to review; what loses data is commented out. Pure. */
  repair(differences: readonly Difference[]): string[]
  /** Rows, counts and fingerprint of one moment, as the owner, who may change nothing. Fails at once when nothing here can. */
  dump(server: ServerAccess, database: string, owner: Credentials, options: MakeDump): Promise<Dump>
  /** How many bytes each of the tables takes, indexes included, named as the lint does; what is no table has no size. */
  tableSizes(server: ServerAddress, database: string, as: Credentials, tables: string[]): Promise<Map<string, number>>
  /** The migrations that the database's own ledger says are applied, in their order, read as its owner. */
  appliedMigrations(server: ServerAddress, database: string, owner: Credentials): Promise<AppliedMigration[]>
  /** Logs in as the owner, looks, and logs out. `known` is the stamp of the last look, if there was one. */
  look(server: ServerAddress, database: string, owner: Credentials, known: string | null): Promise<Look>
  /**
   * What would lock or rewrite a large table, fail where there are rows, or break programs that still run. Only what is
   * certain from the text; `-- lint-allow: code` in a file's up part silences one. Pure.
   */
  lint(files: readonly MigrationFile[]): Promise<LintFinding[]>
  /** Reads a plain dump to its end: INVALID_INPUT for one that runs programs, leads elsewhere or is cut. Pure. */
  checkDump(stream: Readable): Promise<void>
  /** What taking over a database that is not ours would change, and what control lacks for it. Reads the system's tables alone. */
  survey(server: ServerAccess, database: string): Promise<Survey>
  /** What keeps a database from being given to a role under a name, each with what mends it. */
  checkHeir(server: ServerAccess, wish: { database: string; name: string; to: string | null }): Promise<Finding[]>
  /** What a database of this name is called once it is ours: another name where it can be renamed in place. Pure. */
  adoptedNames(databaseId: string, database: string): DatabaseNames
  /** The connection string for an application, password included as given. */
  dsn(server: ServerAddress, database: string, login: string, password?: string): string
  /** The engine's own shell: program, arguments and environment (the password goes in the environment, never in argv). */
  shell(server: ServerAddress, database: string, as: Credentials, options: { readOnly: boolean }): ShellCommand
  /** Ends idle sessions that the engine keeps for reuse. */
  close(): Promise<void>
}

export interface NewLogins {
  names: DatabaseNames
  passwords: Record<LoginRole, Secret>
  limits: DatabaseLimits
}

export interface Furnish {
  names: DatabaseNames
  databaseId: string
  owner: Credentials
  /** The template that was copied, with the login that owns its objects; absent for a database made empty. */
  from?: {
    names: DatabaseNames
    owner: Credentials
    /** It is a tenant's own database: what was read of it a moment ago says nothing of it now. */
    living?: true
  }
}

/** A session on the server that may act for one operation. Every verb may be repeated: what exists, or is already gone, is success. */
export interface ActingSession {
  /** Makes the groups and the four logins. The owner may log in at once; app and read-only logins stay closed until `openLogins`. */
  makeLogins(logins: NewLogins): Promise<void>
  /** Makes the database closed to everybody, as a copy of `template` or empty. Debris of an earlier try is dropped first. */
  makeDatabase(names: DatabaseNames, template?: { names: DatabaseNames; bytes: number }): Promise<void>
  /** Takes the public's rights away, lets the members in, and only then allows connections. */
  guardDatabase(names: DatabaseNames): Promise<void>
  /** Gives everything in the database to its owner login, strips rights of the template's roles, writes the identity row. */
  furnishDatabase(furnish: Furnish): Promise<void>
  /**
   * Plays a dump, as the owner, into a database made empty for this try: its roles take the places of those that are named.
   * Whole, or with an error, after which the database can only be dropped.
   */
  restore(names: DatabaseNames, owner: Credentials, stream: Readable, options: RestoreOptions): Promise<Played>
  /** Puts the plan's limits on logins and database. */
  setLimits(names: DatabaseNames, limits: DatabaseLimits): Promise<void>
  /** Sets passwords, for those logins alone. */
  setPasswords(names: DatabaseNames, passwords: Partial<Record<LoginRole, Secret>>): Promise<void>
  openLogins(names: DatabaseNames, roles: LoginRole[]): Promise<void>
  /**
   * Writes on the server, beside the database, where no login of a tenant can write, whose it is: for the day when the
   * catalog is lost. In place of what was there; of a database that is absent nothing is written.
   */
  bind(names: DatabaseNames, text: string): Promise<void>
  /**
   * Closes the logins at once, and ends their sessions: those that do not go by themselves within `graceMs`, 0 unless given.
   * Nothing of theirs runs when it returns.
   */
  closeLogins(names: DatabaseNames, roles: LoginRole[], graceMs?: number): Promise<void>
  /**
   * Closes the database to everybody and ends what was connected: a template between builds, a tenant being dropped. Its
   * logins' sessions may go by themselves within `graceMs`, 0 unless given.
   */
  sealDatabase(names: DatabaseNames, graceMs?: number): Promise<void>
  unsealDatabase(names: DatabaseNames): Promise<void>
  /** Drops the database, whoever is connected, and its logins and groups. */
  dropDatabase(names: DatabaseNames): Promise<void>
  dropLogins(names: DatabaseNames): Promise<void>
  /** Logs in to the database as its owner, on a connection that carries the same fence. */
  enterDatabase(names: DatabaseNames, owner: Credentials): Promise<OwnerSession>
  /** Takes a database over that was there before, and gives one back. */
  readonly takeover: Takeover
  /** Gives the session back. A session in doubt is destroyed. */
  end(): Promise<void>
}
