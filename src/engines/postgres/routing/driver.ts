import type pg from 'pg'
import { TypeORMError } from 'typeorm'
import { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js'
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js'
import type { ConnectionSource, RoutedConnection } from '../../routing.js'
import { TenantQueryRunner } from './query-runner.js'

/** TypeORM's driver without a pool, a password or a connection of its own: all it has is where to borrow one. */
export class TenantDriver extends PostgresDriver {
  /** No `#field`: a tenant's driver has a shared one as its prototype, see `tenantDataSource`. */
  source = nowhere
  /** Nobody listens to the entity set's statements, and nobody logs them. */
  quiet = false

  override createQueryRunner(mode: ReplicationMode): TenantQueryRunner {
    return new TenantQueryRunner(this, mode, this.source)
  }

  override async connect(): Promise<void> {}
  override async afterConnect(): Promise<void> {}

  override async obtainMasterConnection(): Promise<[pg.Client, () => void]> {
    const { source } = this
    const connection = await source.acquire()
    return [connection.driver as pg.Client, () => source.release(connection, false)]
  }

  override obtainSlaveConnection(): Promise<[pg.Client, () => void]> {
    return this.obtainMasterConnection()
  }

  /** Ends this DataSource alone: what it borrowed goes back, the tenant's other users notice nothing. */
  override async disconnect(): Promise<void> {
    this.source = nowhere
    await Promise.all(this.connectedQueryRunners.slice().map(runner => runner.release()))
  }
}

const nowhere: ConnectionSource = {
  acquire: (): Promise<RoutedConnection> => Promise.reject(new TypeORMError('This DataSource was destroyed.')),
  release: () => {},
  ended: undefined
}
