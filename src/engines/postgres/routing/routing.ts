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
import { tenantDataSource } from './data-source.js'
import { explain } from './explain.js'
import { open } from './open.js'
import { StatementNames } from './prepared.js'
import { ScramMemo } from './scram-memo.js'
import { buildTemplate, TemplateDataSource } from './template.js'

/** PostgreSQL for routers. */
export class PostgresRouting implements RoutingEngine {
  readonly system = 'postgresql'
  readonly #memo = new ScramMemo()
  readonly #names = new StatementNames()
  readonly #silence = new Silence()

  async open(way: RoutedWay): Promise<RoutedConnection> {
    const connection = await open(way, this.#memo, this.#names)
    this.#silence.watch(connection, { statementTimeoutMs: way.statementTimeoutMs })
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
