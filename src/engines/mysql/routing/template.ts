import { DataSource, type QueryRunner } from 'typeorm'
import type { MysqlDriver } from 'typeorm/driver/mysql/MysqlDriver.js'
import type { EntityOptions, EntityTemplate } from '../../routing.js'
import { checkBuilt, checkOptions, lazyRelation, unshared } from '../../shareable.js'
import { silent } from '../../silent.js'
import { type Shared, sharedBy } from './data-source.js'

/** The DataSource that an entity set's metadata is built on. It never connects, and no tenant's statement runs on it. */
export class TemplateDataSource extends DataSource implements EntityTemplate {
  declare readonly driver: MysqlDriver
  declare shared: Shared

  constructor({ entities, subscribers, namingStrategy, entityPrefix, logger }: EntityOptions) {
    super({
      // For MariaDB too: one set of metadata serves both, and what TypeORM does for `mariadb` alone, MySQL refuses.
      type: 'mysql',
      // The module with which it would connect.
      driver: {},
      synchronize: false,
      logger: logger ?? silent,
      entities,
      ...(subscribers && { subscribers }),
      ...(namingStrategy && { namingStrategy }),
      ...(entityPrefix !== undefined && { entityPrefix })
    })
  }

  get entities(): number {
    return this.entityMetadatas.length
  }

  override createQueryRunner(): QueryRunner {
    throw unshared('The template of an entity set has no database.')
  }

  async build(): Promise<this> {
    // The oldest server that is supported: metadata is the same on every newer one.
    Object.assign(this.driver, { version: '8.0.0', cteCapabilities: { ...this.driver.cteCapabilities, enabled: true } })
    // TypeORM refuses metadata without a database; it writes none into it.
    this.driver.database = 'none'
    Object.assign(this.relationLoader, { enableLazyLoad: lazyRelation })
    await this.buildMetadatas()
    checkBuilt(this)
    for (const subscriber of this.subscribers) Object.freeze(subscriber)
    Object.freeze(this.options)
    this.shared = sharedBy(this)
    return this
  }
}

/** ROUTER_ENTITIES names the entity and property that cannot be shared; TypeORM's own errors keep their words. */
export async function buildTemplate(options: EntityOptions): Promise<TemplateDataSource> {
  checkOptions(options)
  return await new TemplateDataSource(options).build()
}
