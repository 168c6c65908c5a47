import {
  deleteTenant,
  findTenant,
  migrateTenant,
  purgeTenant,
  renameTenant,
  resumeTenant,
  type Saasctl,
  suspendTenant,
  tenantDsn,
  undeleteTenant
} from '../../src/index.js'
import { asTenant, refusal } from '../as-tenant.js'
import type { Narrator } from '../narrator.js'

const wait = { wait: true }

/** Everything that can happen to a tenant short of moving it. */
export async function changeChapter(saasctl: Saasctl, { chapter, say, tell }: Narrator): Promise<void> {
  chapter('globex lives')
  const newest = (await findTenant(saasctl.catalog, 'globex')).migration
  await tell(
    () => migrateTenant(saasctl, 'globex', { direction: 'down', to: null }, wait),
    ({ tenant }) => `Its newest migration, ${newest}, is undone: it stands at ${tenant.migration}.`
  )
  await tell(
    () => migrateTenant(saasctl, 'globex', { direction: 'up', to: null }, wait),
    ({ tenant }) => `It is migrated again, as its owner, to ${tenant.migration}.`
  )
  await tell(
    () => renameTenant(saasctl, 'globex', 'globex-corp'),
    'It is renamed to globex-corp: the catalog changes, no server ever knew the name.'
  )
  const dsn = await tenantDsn(saasctl, 'globex-corp', { readOnly: false, reveal: true, reason: 'the story' })
  await tell(() => suspendTenant(saasctl, 'globex-corp', { ...wait, reason: 'unpaid' }), 'It is suspended.')
  await tell(
    () => refusal(dsn),
    message => `Its login is refused by the server itself: "${message}".`
  )
  await tell(() => resumeTenant(saasctl, 'globex-corp', wait), 'It is resumed.')
  await tell(() => asTenant(saasctl, 'globex-corp', client => client.query('select')), 'Its application is in again.')

  chapter('globex-corp leaves, comes back, and leaves for good')
  await tell(
    () => deleteTenant(saasctl, 'globex-corp', { ...wait, reason: 'contract ended' }),
    ({ tenant }) => `It is deleted with grace: until ${tenant.purgeAt?.toISOString().slice(0, 10)} it can come back.`
  )
  await tell(
    () => refusal(dsn),
    message => `Its login is refused: "${message}".`
  )
  await tell(() => undeleteTenant(saasctl, 'globex-corp', wait), 'It is brought back as it was.')
  const { id, database } = await findTenant(saasctl.catalog, 'globex-corp')
  await tell(
    () => purgeTenant(saasctl, 'globex-corp', { ...wait, reason: 'the story ends' }),
    'It is deleted for good.'
  )
  await tell(
    () => refusal(dsn),
    message => `Database ${database} and its logins are gone: "${message}".`
  )
  const events = await saasctl.catalog.query<{ action: string }>(
    'select action from saasctl.audit_event where chain = $1 order by seq',
    [`tenant:${id}`]
  )
  say(
    `Its audit trail stays, ${events.length} events long, each chained to the one before: ${events[0]?.action} … ${events.at(-1)?.action}.`
  )
}
