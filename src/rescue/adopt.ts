import { adoptCatalog } from '../catalog/adopt.js'
import { tenantEvent } from '../catalog/audit.js'
import { askForBindings } from '../catalog/bindings.js'
import type { Transaction } from '../catalog/catalog.js'
import { bringUpToDate, type ChangedTenant, outrun, putPurgesOff } from '../catalog/recoveries.js'
import { markDeleted, putPurgeOff, quarantineSlug } from '../catalog/tenants.js'
import { asSaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { currentPlan } from '../templates/register.js'
import type { Wait } from '../tenants/work.js'
import { type AdoptLine, linesOf } from './adopt-lines.js'
import { type Discovery, discover, type FoundDatabase } from './discover.js'
import { type Gift, giftsOf } from './give.js'
import { keepBackups } from './keep-backups.js'
import { recoverTenant, statusOf } from './recover.js'

export interface Adopted {
  before: string
  after: string
  lines: AdoptLine[]
}

/** What an operator knows and nothing can prove. */
export interface Gifts {
  gifts: readonly Gift[]
  /** What the tenants that are made of them are an instance of. */
  template: string
}

const none: Gifts = { gifts: [], template: '' }

/** What `adoptRestored` would do now; nothing is changed. */
export async function planRescue(context: Context, { gifts, template }: Gifts = none): Promise<AdoptLine[]> {
  const found = await discover(context)
  await giftsOf(context, found, gifts, template)
  return linesOf(found, gifts)
}

/**
 * Declares the catalog the present one and brings it up to what servers and stores know: tenants that it does not have come
 * back with new passwords, those that were renamed, changed or restored since become what they had become, and those of which
 * nothing is left are deleted with a grace. It drops nothing. What fails is in its line, and the next run tries it again.
 */
export async function adoptRestored(context: Context, wait: Wait, { gifts, template }: Gifts = none): Promise<Adopted> {
  const found = await discover(context)
  const given = await giftsOf(context, found, gifts, template)
  for (const { bound } of found.changed) await currentPlan(context, bound.tenant.plan)
  const lines = linesOf(found, gifts)
  const adopted = await adoptCatalog(context.catalog, context.actor, tx => catchUp(tx, context, found))
  const failed = new Map<string, string>()
  const back = async (database: FoundDatabase, moves: boolean) => {
    try {
      await recoverTenant(context, database, { moves }, wait)
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      if (error.code === 'CANCELLED' || error.code.startsWith('CATALOG_')) throw error
      failed.set(database.bound.database.name, error.message)
    }
  }
  for (const database of [...found.unknown, ...given]) await back(database, false)
  for (const database of found.moved) await back(database, true)
  await keepBackups(context, found.backups)
  const withErrors = lines.map(line => {
    const error = failed.get(line.database ?? '')
    return error === undefined ? line : { ...line, error }
  })
  return { ...adopted, lines: withErrors }
}

/** What needs no server, together with the adoption itself: killed before it, nothing was done, after it, all of it. */
async function catchUp(tx: Transaction, { grace }: Context, found: Discovery): Promise<void> {
  const changed = found.changed.map(({ bound, known }): ChangedTenant => {
    const { id, slug, plan, displayName, labels, region, status } = bound.tenant
    // What was deleted since has its grace yet, and is deleted below.
    return {
      id,
      slug,
      plan,
      displayName,
      labels,
      region,
      status: statusOf(status) === 'deleted' ? known.status : statusOf(status)
    }
  })
  await putPurgesOff(tx, grace.deleteSeconds)
  await bringUpToDate(tx, changed)
  for (const { known, bound } of found.changed) {
    const { slug, status } = bound.tenant
    if (slug !== known.slug) await quarantineSlug(tx, known.slug, known.id, grace.slugSeconds)
    if (statusOf(status) === 'deleted' && known.status !== 'deleted')
      await markDeleted(tx, known.id, grace.deleteSeconds, true)
    await outrun(tx, known.id, bound.tenant.revision)
    tx.audit(tenantEvent(known.id, 'tenant.caught-up', { before: known.slug, slug, status }))
  }
  for (const { known } of found.gone) {
    if (known.held) continue
    if (known.status === 'deleted') await putPurgeOff(tx, known.id, grace.deleteSeconds)
    else await markDeleted(tx, known.id, grace.deleteSeconds, false)
    tx.audit(tenantEvent(known.id, 'tenant.gone', { database: known.database }))
  }
  await askForBindings(tx, found.unwritten)
}
