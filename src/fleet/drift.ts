import { keepDrift, type ReferenceRow } from '../catalog/schemas.js'
import type { PlacedTenant } from '../catalog/tenants.js'
import { migrationsChecksum } from '../databases/plan-migrations.js'
import type { DatabaseParts } from '../databases/work.js'
import type { Difference } from '../engines/engine.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { compareFacts } from '../templates/compare.js'
import { schemaReference } from '../templates/reference.js'
import { readTemplate } from '../templates/register.js'
import { eachDatabase, type FailedTenant } from './each.js'

/** What was found in one tenant's database. */
export interface DriftedTenant {
  slug: string
  server: string
  migration: string | null
  differences: Difference[]
  /** SQL for a person to review, never run by us. */
  repair: string[]
}

export interface DriftWish extends Follow {
  concurrency: number
  /** Told of each tenant whose schema is another than its template's, as it is found. */
  onDrift(tenant: DriftedTenant): void
}

/** Of each drifted tenant the catalog keeps this many differences. */
const KEPT = 20

/**
 * Compares each database with what its template's migrations make at the same version on the same major, and keeps the
 * outcome in the catalog. Tenants that cannot be looked at are given back, and stop no other. Changes nothing anywhere else.
 */
export async function findDrift(
  context: Context,
  pages: AsyncIterable<PlacedTenant[]>,
  wish: DriftWish
): Promise<{ checked: number; drifted: number; failed: FailedTenant[] }> {
  const references = new References(context, wish)
  let drifted = 0
  const { done, failed } = await eachDatabase(context, pages, wish.concurrency, async (tenant, parts) => {
    const found = await compare(parts, tenant, references)
    if (found.differences.length === 0) return
    drifted += 1
    wish.onDrift(found)
  })
  return { checked: done, drifted, failed }
}

async function compare(
  { engine, access, database, logins, server, tools }: DatabaseParts,
  tenant: PlacedTenant,
  references: References
): Promise<DriftedTenant> {
  const { migrations } = await references.template(tenant.template)
  const checksum = database.migrationsChecksum ?? ''
  const reference = await references.of(tenant.template, server, checksum)
  const owner = await logins.credentials('owner')
  const seen = await engine.describe(access, database.name, owner, reference.fingerprint)
  const ledger = migrationsChecksum(seen.applied, migrations[engine.name] ?? [])
  const differences = [
    ...(ledger === checksum ? [] : [otherLedger(database.migration, seen.applied)]),
    ...(seen.fingerprint === reference.fingerprint ? [] : compareFacts(reference.facts, seen.facts))
  ]
  await keepDrift(tools.catalog, {
    databaseId: database.id,
    fingerprint: seen.fingerprint,
    differences: differences.length,
    sample: differences.slice(0, KEPT)
  })
  const repair = engine.repair(differences.filter(({ kind }) => kind !== 'ledger'))
  return { slug: tenant.slug, server: server.name, migration: database.migration, differences, repair }
}

/** The database says that it has other migrations than the catalog thinks. */
function otherLedger(known: string | null, applied: Array<{ name: string }>): Difference {
  const found = applied.at(-1)?.name ?? 'nothing'
  return {
    kind: 'ledger',
    name: 'applied migrations',
    expected: `ends at ${known ?? 'nothing'}, as the catalog knows`,
    found: `${applied.length} applied, the last is ${found}`
  }
}

/** Each template is read once, each schema to compare with is fetched once, however many tenants are at it. */
class References {
  readonly #context: Context
  readonly #follow: Follow
  readonly #templates = new Map<string, ReturnType<typeof readTemplate>>()
  readonly #schemas = new Map<string, Promise<ReferenceRow>>()

  constructor(context: Context, { onProgress, signal }: Follow) {
    this.#context = context
    this.#follow = { onProgress, signal }
  }

  template(name: string): ReturnType<typeof readTemplate> {
    const known = this.#templates.get(name) ?? readTemplate(this.#context.folders.templates, name)
    this.#templates.set(name, known)
    return known
  }

  of(template: string, server: DatabaseParts['server'], checksum: string): Promise<ReferenceRow> {
    const { flavour, major } = server.facts
    const key = `${template}/${flavour}/${major}/${checksum}`
    const known = this.#schemas.get(key) ?? schemaReference(this.#context, { template, server, checksum }, this.#follow)
    this.#schemas.set(key, known)
    return known
  }
}
