import { type FindManyOptions, LessThan } from 'typeorm'
import { id } from './schemas.js'

/** Newest first; the next page begins before the last id of this one, so no row is read twice or left out. */
export interface Page {
  before?: string
  limit: number
}

export const page = {
  type: 'object',
  properties: { before: id, limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 } }
} as const

/** The page as TypeORM's find takes it. */
export function onPage({ before, limit }: Page): FindManyOptions<{ id: string }> {
  return { ...(before !== undefined && { where: { id: LessThan(before) } }), order: { id: 'DESC' }, take: limit }
}
