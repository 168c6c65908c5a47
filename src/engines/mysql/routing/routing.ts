import type { DataSource } from 'typeorm'
import type {
  ConnectionSource,
  EntityOptions,
  EntityTemplate,
  RoutedConnection,
  RoutedWay,
  RoutingEngine
} from '../../routing.js'
import { Silence } from '../../silence.js'
import type { MysqlConnection } from './connection.js'
import { tenantDataSource } from './data-source.js'
import { explain } from './explain.js'
import { open } from './open.js'
import { repoint } from './repoint.js'
import { buildTemplate, TemplateDataSource } from './template.js'

/** MySQL and MariaDB for routers. */
export class MysqlRouting implements RoutingEngine {
  readonly system = 'mysql'
  readonly #silence = new Silence()

  async open(way: RoutedWay): Promise<RoutedConnection> {
    return this.#watched(await open(way), way)
  }

  async repoint(connection: RoutedConnection, way: RoutedWay): Promise<RoutedConnection> {
    return this.#watched(await repoint(connection, way), way)
  }

  /** MySQL ends a SELECT by itself, and nothing else: there it is the only limit of all others, and of idle transactions. */
  #watched(connection: MysqlConnection, way: RoutedWay): MysqlConnection {
    this.#silence.watch(connection, way)
    return connection
  }

  template(entities: EntityOptions): Promise<EntityTemplate> {
    return buildTemplate(entities)
  }

  dataSource(template: EntityTemplate, database: string, source: ConnectionSource): DataSource {
    if (!(template instanceof TemplateDataSource)) throw new TypeError('The template was made by another engine.')
    return tenantDataSource(template, database, source)
  }

  readonly explain = explain
}
