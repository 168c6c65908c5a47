import type { DataSource } from 'typeorm'
import type {
  ConnectionSource,
  EntityOptions,
  EntityTemplate,
  RoutedConnection,
  RoutedWay,
  RoutingEngine
} from '../../routing.js'
import { tenantDataSource } from './data-source.js'
import { explain } from './explain.js'
import { open } from './open.js'
import { repoint } from './repoint.js'
import { buildTemplate, TemplateDataSource } from './template.js'

/** MySQL and MariaDB for routers. */
export class MysqlRouting implements RoutingEngine {
  readonly system = 'mysql'

  open(way: RoutedWay): Promise<RoutedConnection> {
    return open(way)
  }

  repoint(connection: RoutedConnection, way: RoutedWay): Promise<RoutedConnection> {
    return repoint(connection, way)
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
