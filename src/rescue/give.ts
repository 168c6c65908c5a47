import { holdersOf } from '../catalog/recoveries.js'
import { SaasctlError } from '../errors.js'
import { parseSlug, quoteInput, type Slug, uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import { currentPlan, currentTemplate } from '../templates/register.js'
import { slugTaken } from '../tenants/slugs.js'
import type { Discovery, FoundDatabase } from './discover.js'

/** A database of which nothing proves whose it is, and the new tenant that is to have it by an operator's word. */
export interface Gift {
  database: string
  slug: Slug
}

/** Reads `DATABASE=SLUG`. */
export function parseGift(text: string): Gift {
  const at = text.indexOf('=')
  if (at > 0) return { database: text.slice(0, at), slug: parseSlug(text.slice(at + 1)) }
  throw new SaasctlError('INVALID_INPUT', `${quoteInput(text)} is not DATABASE=SLUG.`, {
    hint: 'Name a database of "saasctl catalog adopt --dry-run" and the slug of its tenant, as in t0123…=acme.'
  })
}

/**
 * The databases that are given away, each bound to a tenant that is made now. Refuses, before anything is done, those that
 * are somebody's: what is bound, backed up or placed is nobody's to give, and what another control plane has written stays its.
 */
export async function giftsOf(
  context: Context,
  found: Discovery,
  gifts: readonly Gift[],
  template: string
): Promise<FoundDatabase[]> {
  const wanted = [
    ...gifts.map(({ slug }) => slug),
    ...[...found.unknown, ...found.changed].map(({ bound }) => bound.tenant.slug)
  ]
  const holders = await holdersOf(context.catalog, wanted)
  const given: FoundDatabase[] = []
  for (const { database, slug } of gifts) {
    const [one, ...others] = found.strange.filter(({ name }) => name === database)
    if (!one) throw notToGive(database, 'is not one of those whose tenant is unknown')
    if (one.how === 'foreign') throw notToGive(database, 'is another control plane’s')
    // A server and a copy of it, both added: a name alone does not say which of the two is meant.
    if (others.length > 0) throw notToGive(database, 'stands on several servers')
    if (holders.has(slug) || wanted.filter(other => other === slug).length > 1) throw slugTaken(slug)
    if (given.some(({ bound }) => bound.database.id === one.id)) throw notToGive(database, 'is given away twice')
    given.push(await give(context, one, slug, template))
  }
  return given
}

async function give(
  context: Context,
  { server, id, name }: Discovery['strange'][number],
  slug: Slug,
  template: string
): Promise<FoundDatabase> {
  const kept = await currentTemplate(context, template)
  const plan = await currentPlan(context, kept.definition.defaultPlan)
  const tenant = {
    id: uuidv7(),
    slug,
    displayName: null,
    status: 'active' as const,
    plan: plan.name,
    template: kept.name,
    templateVersion: kept.version,
    labels: { ...kept.definition.labels },
    region: null,
    revision: 0
  }
  const since = new Date().toISOString()
  return { server, bound: { v: 1, database: { id, name }, tenant, since, incarnation: '' } }
}

function notToGive(database: string, why: string): SaasctlError {
  return new SaasctlError('INVALID_INPUT', `Database ${quoteInput(database)} ${why}; nothing was changed.`, {
    hint: 'The lines "unknown" of "saasctl catalog adopt --dry-run" name those that can be given.'
  })
}
