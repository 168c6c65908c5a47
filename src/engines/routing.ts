import type { DataSource, DataSourceOptions, Logger, NamingStrategyInterface } from 'typeorm'
import type { SaasctlError } from '../errors.js'
import type { Credentials, ServerAddress } from './engine.js'

/** What a router asks of an engine. Apart from `Engine`, so that an application loads no provisioning. */
export interface RoutingEngine {
  /** What OpenTelemetry calls its kind of database. */
  readonly system: string
  /**
   * Opens one connection as an app login. The identity row is read before anybody gets the connection. SERVER_BUSY with
   * `data.full` when a limit on connections was met: `server` or `tenant` says whose.
   */
  open(way: RoutedWay): Promise<RoutedConnection>
  /**
   * Makes a connection of another tenant on the same server this one's, where that costs less than closing it and opening
   * one. Nothing of the former session is left, and the identity row is read anew. When it fails, the server has let the
   * connection go. Who asks must be sure that nobody uses the connection any more.
   */
  repoint?(connection: RoutedConnection, way: RoutedWay): Promise<RoutedConnection>
  /** Builds an entity set's metadata once, without connecting. Refuses what cannot be shared between tenants (ROUTER_ENTITIES). */
  template(entities: EntityOptions): Promise<EntityTemplate>
  /** A DataSource of one tenant whose connections come from `source` and nowhere else. No I/O, about 2 µs: one per lease. */
  dataSource(template: EntityTemplate, database: string, source: ConnectionSource): DataSource
  /**
   * Says in our words what went wrong when the server or the way to it did, from any error an application may have caught;
   * undefined for an answer to the application's own SQL.
   */
  explain(error: unknown): SaasctlError | undefined
}

export interface RoutedWay {
  address: ServerAddress
  database: string
  /** What the identity row must say; IDENTITY_WRONG otherwise. */
  databaseId: string
  as: Credentials
  /** Counts the login's passwords: a memo of derived keys is good for one version only. */
  loginVersion: number
  applicationName: string
  /** From the tenant's plan; null leaves what the server says. */
  statementTimeoutMs: number | null
  /** From the plan too, for engines whose logins cannot have it as their own; null or absent leaves what the server says. */
  idleInTransactionMs?: number | null
  /** For everything up to the identity row's answer. */
  connectTimeoutMs: number
  /** Statements that a connection keeps prepared on the server at most, where the engine does that; 50. 0 for none. */
  preparedStatements?: number
}

/** One physical connection. The budget counts it from `open` until `close` has resolved. */
export interface RoutedConnection {
  /** The driver's own connection, for the engine's DataSource. */
  readonly driver: unknown
  /** Broken, busy, or left inside a transaction: must be closed, never lent again. */
  readonly inDoubt: boolean
  /** After an error the server has yet to say where the connection stands; resolves soon, whatever it says. */
  readonly settling: Promise<void> | undefined
  /** Stands inside a transaction: whoever holds it will not give it back by waiting for another. */
  readonly inTransaction: boolean
  /** Called once when the server or the network ends it, idle or not; at once when that has happened already. */
  onEnd(listener: () => void): void
  /** Stops what runs on it. Resolves when the server has let it go; at the latest after two seconds. Never rejects. */
  close(): Promise<void>
}

/** Lends connections of one tenant. */
export interface ConnectionSource {
  acquire(): Promise<RoutedConnection>
  /** `doubt` closes it; so does `inDoubt`. */
  release(connection: RoutedConnection, doubt: boolean): void
  /** What to answer to whoever uses the source after its end; undefined while it may be used. */
  readonly ended: SaasctlError | undefined
  /** Told of each statement after its answer, with the milliseconds it took, in its caller's context. Must not throw. */
  readonly ran?: ((milliseconds: number, failed: boolean, statement?: string) => void) | undefined
}

/** The part of TypeORM's options that may be the same for every tenant. Everything in them must be stateless. */
export interface EntityOptions {
  entities: NonNullable<DataSourceOptions['entities']>
  /** One instance serves every tenant; it is frozen. */
  subscribers?: DataSourceOptions['subscribers']
  namingStrategy?: NamingStrategyInterface
  entityPrefix?: string
  logger?: Logger
}

/** Metadata that all tenants share by reference. Opaque: only the engine that made it reads it. */
export interface EntityTemplate {
  readonly entities: number
}
