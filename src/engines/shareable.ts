import { BaseEntity, type DataSource, type EntityMetadata } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata.js'
import { SaasctlError } from '../errors.js'
import type { EntityOptions } from './routing.js'

export const unshared = (message: string, hint?: string) =>
  new SaasctlError('ROUTER_ENTITIES', message, hint === undefined ? {} : { hint })

const known = ['entities', 'subscribers', 'namingStrategy', 'entityPrefix', 'logger'] satisfies Array<
  keyof EntityOptions
>

/** Options that lead to a database, or keep answers, are not for an entity set: they would be the same for every tenant. */
export function checkOptions(options: EntityOptions): void {
  const foreign = Object.keys(options).find(key => !known.some(name => name === key))
  if (foreign !== undefined) {
    throw unshared(
      `The option "${foreign}" cannot be shared between tenants.`,
      `An entity set takes ${known.join(', ')}; where a tenant's database is, the catalog knows.`
    )
  }
}

/**
 * Stands in the place of TypeORM's own, which puts a getter on the class's prototype: the last DataSource that was built
 * wins, so that one tenant's entity loads its relation from another tenant's database.
 */
export function lazyRelation(relation: RelationMetadata): never {
  throw unshared(
    `The relation "${relation.propertyPath}" of entity "${relation.entityMetadata.name}" is lazy and cannot be shared between tenants.`,
    'Make it an ordinary relation and name it in `relations` when finding, or load it with the query builder.'
  )
}

/** What can only be seen when the metadata is built: entities may be given as files. */
export function checkBuilt(template: DataSource): void {
  for (const metadata of template.entityMetadatas) checkEntity(metadata)
  for (const subscriber of template.subscribers) checkSubscriber(subscriber)
}

function checkEntity({ name, target, database }: EntityMetadata): void {
  if (typeof target === 'function' && target.prototype instanceof BaseEntity) {
    // Building has put the template in the class's static property.
    Reflect.deleteProperty(target, 'dataSource')
    throw unshared(
      `The entity "${name}" extends BaseEntity: its static methods know one DataSource only, the last that was made.`,
      'Leave out `extends BaseEntity` and use repositories of the request’s DataSource.'
    )
  }
  if (database !== undefined) {
    throw unshared(`The entity "${name}" names the database "${database}", but each tenant has one of its own.`)
  }
}

/** State on a subscriber would carry what one tenant did over to the next. Functions, names and services are none. */
function checkSubscriber(subscriber: object): void {
  const state = Object.entries(subscriber).find(([, value]) => isState(value))
  if (state === undefined) return
  throw unshared(
    `The property "${state[0]}" of subscriber "${subscriber.constructor.name}" looks like state; one instance serves all tenants.`,
    'Keep it in the event (`event.queryRunner.data`), or outside in a map by tenant.'
  )
}

function isState(value: unknown): boolean {
  if (typeof value === 'function' || typeof value === 'string' || typeof value === 'symbol') return false
  if (typeof value !== 'object' || value === null) return true
  return [Object, Array, Map, Set, WeakMap, WeakSet, Date, undefined].some(plain => plain === value.constructor)
}
