import type { Discovery, FoundDatabase, StrangeDatabase } from './discover.js'
import type { Gift } from './give.js'
import { statusOf } from './recover.js'

export type Found = 'back' | 'moved' | 'changed' | 'gone' | 'given' | 'backup' | 'conflict' | 'unknown' | 'unreachable'

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

const strange: Record<StrangeDatabase['how'], string> = {
  unknown: 'Left alone: nothing here proves whose it is. If you know, give it to a tenant with --give.',
  unclaimed:
    'Left alone: it was ready for a new tenant when the backup was made, and may be somebody’s since. If you know whose, use --give.',
  foreign: 'Left alone: another control plane has written beside it whose it is, or this one with another control key.'
}

/** What was found, as it is told. */
export function linesOf(found: Discovery, gifts: readonly Gift[]): AdoptLine[] {
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
    ...found.strange.map(({ server, name, how }): AdoptLine => {
      const given = gifts.find(({ database }) => database === name)
      if (!given) return { found: 'unknown', tenant: null, server: server.name, database: name, message: strange[how] }
      const message = 'It is given to this new tenant, if what stands inside agrees with its name.'
      return { found: 'given', tenant: given.slug, server: server.name, database: name, message }
    }),
    ...found.backups.map(({ manifest, store }): AdoptLine => {
      const { tenant, database } = manifest
      const whose = ids.has(tenant.id) ? 'of a tenant that comes back' : 'the catalog does not have it'
      const message = `Backup ${manifest.backup} of ${manifest.takenAt} in ${store}, ${whose}; it is listed again.`
      return { found: 'backup', tenant: tenant.slug, server: database.server, database: database.name, message }
    }),
    ...found.unreachable.map(({ where, message }): AdoptLine => {
      return {
        found: 'unreachable',
        tenant: null,
        server: where,
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
