import { DataSource, EntityManager, type QueryRunner } from 'typeorm'
import { RelationIdLoader } from 'typeorm/query-builder/RelationIdLoader.js'
import { RelationLoader } from 'typeorm/query-builder/RelationLoader.js'
import type { ConnectionSource } from '../../routing.js'
import { silent } from '../../silent.js'
import type { MysqlConnection } from './connection.js'
import { TenantDriver } from './driver.js'
import { runRaw } from './run-raw.js'
import type { TemplateDataSource } from './template.js'

/** What a tenant's DataSource has of its own: everything that leads to a database. */
type Own = { -readonly [K in 'driver' | 'manager' | 'options' | 'relationLoader' | 'relationIdLoader']: DataSource[K] }

/** What all tenants share: metadata, subscribers, logger, and what TypeORM's constructors would make anew for each. */
export interface Shared {
  dataSource: DataSource
  driver: TenantDriver
}

/** A DataSource whose own statements need no query runner where nobody asks for one. */
class RoutedDataSource extends DataSource {
  declare driver: TenantDriver

  override async query<T = unknown>(sql: string, parameters?: unknown[], queryRunner?: QueryRunner): Promise<T> {
    const { quiet, source } = this.driver
    if (!quiet || queryRunner || (parameters && !Array.isArray(parameters)))
      return super.query(sql, parameters, queryRunner)
    // The source is the router's, and its connections are those that this engine opened.
    const borrowed = (await source.acquire()) as MysqlConnection
    try {
      return (await runRaw(source, borrowed, sql, parameters)) as T
    } catch (error) {
      // Given back before it is known where the error left it, it would not be there for the next statement.
      await borrowed.settling
      throw error
    } finally {
      source.release(borrowed, false)
    }
  }
}

export function sharedBy(template: TemplateDataSource): Shared {
  const quiet = template.subscribers.length === 0 && template.logger === silent
  return {
    dataSource: Object.assign(Object.create(RoutedDataSource.prototype), template, { isInitialized: true }),
    driver: Object.assign(new TenantDriver(template), template.driver, { quiet })
  }
}

/**
 * A tenant's DataSource. It has the shared one as its prototype: 0.6 µs and 700 bytes, where the constructors take 3 µs and
 * 2 KB. So each lease has its own, with managers and repositories of its own, and none outlives its lease.
 */
export function tenantDataSource(
  { shared }: TemplateDataSource,
  database: string,
  source: ConnectionSource
): DataSource {
  const dataSource: DataSource = Object.create(shared.dataSource)
  const driver: TenantDriver = Object.create(shared.driver)
  const own: Own = dataSource
  own.options = { ...shared.dataSource.options, database } as DataSource['options']
  own.driver = driver
  own.manager = new EntityManager(dataSource)
  own.relationLoader = new RelationLoader(dataSource)
  own.relationIdLoader = new RelationIdLoader(dataSource)
  driver.dataSource = dataSource
  driver.options = dataSource.options as TenantDriver['options']
  driver.database = database
  driver.runners = []
  driver.source = source
  return dataSource
}
