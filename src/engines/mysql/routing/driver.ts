import { TypeORMError } from 'typeorm'
import { MysqlDriver } from 'typeorm/driver/mysql/MysqlDriver.js'
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js'
import type { ConnectionSource, RoutedConnection } from '../../routing.js'
import type { Loan } from './loan.js'
import { TenantQueryRunner } from './query-runner.js'

/** TypeORM's driver without a pool, a password or a connection of its own: all it has is where to borrow one. */
export class TenantDriver extends MysqlDriver {
  /** No `#field`: a tenant's driver has a shared one as its prototype, see `tenantDataSource`. */
  source = nowhere
  runners: TenantQueryRunner[] = []
  /** Nobody listens to the entity set's statements, and nobody logs them. */
  quiet = false

  override createQueryRunner(mode: ReplicationMode): TenantQueryRunner {
    return new TenantQueryRunner(this, mode, this.source)
  }

  override async connect(): Promise<void> {}
  override async afterConnect(): Promise<void> {}

  override obtainMasterConnection(): Promise<Loan> {
    return this.createQueryRunner('master').connect()
  }

  override obtainSlaveConnection(): Promise<Loan> {
    return this.obtainMasterConnection()
  }

  /** A date comes as midnight in UTC, and TypeORM reads it on the local calendar: west of Greenwich, the day before. */
  override prepareHydratedValue(value: unknown, column: ColumnMetadata): unknown {
    const day = column.type === 'date' && value instanceof Date ? value.toISOString().slice(0, 10) : value
    return super.prepareHydratedValue(day, column)
  }

  /** Ends this DataSource alone: what it borrowed goes back, the tenant's other users notice nothing. */
  override async disconnect(): Promise<void> {
    this.source = nowhere
    await Promise.all(this.runners.slice().map(runner => runner.release()))
  }
}

const nowhere: ConnectionSource = {
  acquire: (): Promise<RoutedConnection> => Promise.reject(new TypeORMError('This DataSource was destroyed.')),
  release: () => {},
  ended: undefined
}
