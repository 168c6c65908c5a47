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
import { type Discovery, discover, type FoundDatabase } from './discover.js'
import { keepBackups } from './keep-backups.js'
import { recoverTenant, statusOf } from './recover.js'

export type Found = 'back' | 'moved' | 'changed' | 'gone' | 'backup' | 'conflict' | 'unknown' | 'unreachable'

/** One line of `catalog adopt`: what was found and what is done about it. */
export interface AdoptLine {
  found: Found
  tenant: string | null
  server: string
  database: string | null
  message: string
  /** What this run could not do; it may be run again. */
  error?: string
}

export interface Adopted {
  before: string
  after: string
  lines: AdoptLine[]
}

/** What `adoptRestored` would do now; nothing is changed. */
export async function planRescue(context: Context): Promise<AdoptLine[]> {
  return linesOf(await discover(context))
}

/**
 * Declares the catalog the present one and brings it up to what servers and stores know: tenants that it does not have come
 * back with new passwords, those that were renamed, changed or restored since become what they had become, and those of which
 * nothing is left are deleted with a grace. It drops nothing. What fails is in its line, and the next run tries it again.
 */
export async function adoptRestored(context: Context, wait: Wait): Promise<Adopted> {
  const found = await discover(context)
  for (const { bound } of found.changed) await currentPlan(context, bound.tenant.plan)
  const lines = linesOf(found)
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
  for (const database of found.unknown) await back(database, false)
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

function linesOf(found: Discovery): AdoptLine[] {
  const of = (kind: Found, { server, bound }: FoundDatabase, message: string): AdoptLine => ({
    found: kind,
    tenant: bound.tenant.slug,
    server: server.name,
    database: bound.database.name,
    message
  })
  const ids = new Set(found.unknown.map(({ bound }) => bound.tenant.id))
  return [
    ...found.unknown.map(one => of('back', one, 'The catalog does not have it; it comes back with new passwords.')),
    ...found.moved.map(one => of('moved', one, `It has another database by now; ${one.before} is kept, and nobody’s.`)),
    ...found.changed.map(one => of('changed', one, changes(one))),
    ...found.gone.map(({ server, known }): AdoptLine => {
      const { slug, database, held } = known
      const does = held ? 'it is held and stays as it is.' : 'it is deleted with a grace.'
      return {
        found: 'gone',
        tenant: slug,
        server: server.name,
        database,
        message: `Nothing of it is left on its server; ${does}`
      }
    }),
    ...found.conflicts.map(one => of('conflict', one, `Left alone: ${one.why}.`)),
    ...found.strange.map(({ server, name }): AdoptLine => {
      const message = 'Left alone: nothing here proves whose it is.'
      return { found: 'unknown', tenant: null, server: server.name, database: name, message }
    }),
    ...found.backups.map(({ manifest, store }): AdoptLine => {
      const { tenant, database } = manifest
      const whose = ids.has(tenant.id) ? 'of a tenant that comes back' : 'the catalog does not have it'
      const message = `Backup ${manifest.backup} of ${manifest.takenAt} in ${store}, ${whose}; it is listed again.`
      return { found: 'backup', tenant: tenant.slug, server: database.server, database: database.name, message }
    }),
    ...found.unreachable.map(({ server, message }): AdoptLine => {
      return {
        found: 'unreachable',
        tenant: null,
        server: server.name,
        database: null,
        message: `${message} Run it again when it is back.`
      }
    })
  ]
}

function changes({ bound, known }: Discovery['changed'][number]): string {
  const { slug, plan, status } = bound.tenant
  const said = [
    ...(slug === known.slug ? [] : [`it was ${known.slug}`]),
    ...(plan === known.plan ? [] : [`its plan is ${plan}`]),
    ...(status === known.status ? [] : [`it is ${statusOf(status)}`])
  ]
  return `Changed since: ${said.join(', ')}.`
}
