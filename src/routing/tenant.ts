import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Route } from './route.js'
import { type KeyPart, tenantKey } from './tenant-key.js'

/** What an application sees of the tenant that a request is for. */
export interface Tenant {
  readonly id: string
  readonly slug: string
  readonly plan: string
  /** The newest migration of its schema. */
  readonly migration: string | null
  /** Whether its plan has the feature. A feature that no plan names is a mistake: USAGE. */
  can(feature: string): boolean
  /** What its plan allows of something countable; null is no limit. */
  limit(quota: string): number | null
  /** A key for a shared cache that no other tenant can have: `tenant.key('user', id)`. See `tenantKey`. */
  key(...parts: KeyPart[]): string
}

/** One for each revision of a tenant: requests share it. */
const tenants = new WeakMap<Route, Tenant>()

export function tenantOf(route: Route): Tenant {
  const known = tenants.get(route)
  if (known) return known
  const { tenantId: id, slug, plan, migration, rules } = route
  const tenant: Tenant = Object.freeze({
    id,
    slug,
    plan,
    migration,
    can: (feature: string) => named(rules.features, feature, 'feature', plan),
    limit: (quota: string) => named(rules.quotas, quota, 'limit', plan),
    key: (...parts: KeyPart[]) => tenantKey(route, parts)
  })
  tenants.set(route, tenant)
  return tenant
}

/** A misspelt name must not read as "no", nor as "no limit". */
function named<T>(record: Record<string, T>, name: string, what: string, plan: string): T {
  if (Object.hasOwn(record, name)) return record[name] as T
  throw new SaasctlError('USAGE', `Plan ${plan} has no ${what} named ${quoteInput(name)}.`, {
    hint: `It has: ${Object.keys(record).join(', ') || 'none'}. Features and quotas are written in plans.json.`
  })
}

/** Migrations that the application's program works with, by name, inclusive. */
export interface SchemaRange {
  oldest?: string
  newest?: string
}

/** A tenant whose schema the program does not know gets 503 for itself, never a raw SQL error (TENANT_SCHEMA). */
export function checkSchema(route: Route, { oldest, newest }: SchemaRange): void {
  const { migration, slug } = route
  const behind = oldest !== undefined && (migration === null || migration < oldest)
  const ahead = newest !== undefined && migration !== null && migration > newest
  if (!behind && !ahead) return
  throw new SaasctlError(
    'TENANT_SCHEMA',
    `Tenant ${slug} is at ${migration ?? 'no migration'}, ${behind ? 'before' : 'after'} what this program works with.`,
    {
      hint: behind ? `Migrate it to ${oldest} with "saasctl tenant migrate ${slug}".` : 'Deploy the newer program.',
      data: { retryAfterSeconds: 30 },
      retryable: true
    }
  )
}
