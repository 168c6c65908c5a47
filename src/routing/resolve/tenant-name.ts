import { isUuid, parseSlug } from '../../names.js'

export interface TenantName {
  readonly by: 'id' | 'slug'
  readonly value: string
}

/**
 * An id or a slug as a request may name its tenant; undefined for all else, whatever its type, length or alphabet. Our
 * ids are UUIDv7 and begin with a digit until the year 6400, slugs begin with a letter, and what reads as both is a
 * slug: nobody can sign up under a slug that is looked up as a neighbour's id.
 */
export function tenantName(value: unknown): TenantName | undefined {
  if (typeof value !== 'string' || value.length > 64) return undefined
  if (isSlug(value)) return { by: 'slug', value }
  if (isUuid(value)) return { by: 'id', value }
  return undefined
}

export function isSlug(value: string): boolean {
  // Names of what every object inherits read as slugs where all is lower case: `constructor`.
  if (value in Object.prototype) return false
  try {
    return parseSlug(value) === value
  } catch {
    return false
  }
}
