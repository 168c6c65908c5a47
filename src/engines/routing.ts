import type { DataSource, EntitySchema, MixedList } from 'typeorm'
import type { Credentials, ServerAddress } from './engine.js'

/** What a router asks of an engine. Apart from `Engine`, so that an application loads no provisioning. */
export interface RoutingEngine {
  /** Opens one connection as an app login. The identity row is checked with the first statement, before anybody uses it. */
  open(way: RoutedWay): Promise<RoutedConnection>
  /** Builds an entity set's metadata once, without connecting. Refuses what cannot be shared between tenants (ROUTER_ENTITIES). */
  template(entities: EntityOptions): Promise<EntityTemplate>
  /** A DataSource of one tenant whose connections come from `source` and nowhere else. No I/O. */
  dataSource(template: EntityTemplate, database: string, source: ConnectionSource): DataSource
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
  connectTimeoutMs: number
}

/** One physical connection. The budget counts it from `open` until `close` has resolved. */
export interface RoutedConnection {
  /** The driver's own connection, for the engine's DataSource. */
  readonly driver: unknown
  /** Broken, or left inside a transaction: must be closed, never lent again. */
  readonly inDoubt: boolean
  /** Called once when the server or the network ends it, idle or not. */
  onEnd(listener: () => void): void
  /** Resolves when the server has let it go; at the latest after two seconds. */
  close(): Promise<void>
}

/** Lends connections of one tenant. */
export interface ConnectionSource {
  acquire(): Promise<RoutedConnection>
  /** `doubt` closes it; so does `inDoubt`. */
  release(connection: RoutedConnection, doubt: boolean): void
}

export interface EntityOptions {
  entities: MixedList<string | ((...parameters: never[]) => unknown) | EntitySchema>
  /** Must be stateless: one instance serves every tenant. */
  subscribers?: MixedList<string | ((...parameters: never[]) => unknown)>
}

/** Metadata that all tenants share by reference. Opaque: only the engine that made it reads it. */
export interface EntityTemplate {
  readonly entities: number
}
