import type { ServerRow } from '../catalog/servers.js'
import { type DatabaseState, type LoginRole, loginRoles } from '../engines/engine.js'
import { type Diagnosis, fine, mendable, warning, wrong } from './finding.js'
import { closedRoles, closeTenant, dropAbandoned, quarantine, sealTemplate } from './mend.js'
import type { KnownDatabase } from './queries/databases.js'

/** One database: what the catalog says of it, and what its server shows. No operation is at work on it. */
interface Case {
  server: ServerRow
  row: KnownDatabase
  seen: Pick<DatabaseState, 'database' | 'logins'>
}

/** Catalog → server: what is not on the server as the catalog says. Pure. */
export function expected(one: Case): Diagnosis[] {
  switch (one.row.state) {
    case 'building':
      return [abandoned(one, 'database.abandoned', 'was begun, but nothing is making it')]
    case 'dropping':
      return [abandoned(one, 'database.undropped', 'was to be dropped, but nothing is dropping it')]
    case 'ready':
      return one.row.kind === 'template' ? template(one) : warm(one)
    case 'placed':
      return placed(one)
    case 'retired':
      return retired(one)
    default:
      return []
  }
}

const which = (
  state: 'absent' | 'closed' | 'open',
  { logins }: Case['seen'],
  among: readonly LoginRole[] = loginRoles
) => among.filter(role => logins[role] === state)

const isThere = ({ seen }: Case) => seen.database === 'open' || seen.database === 'closed'

function abandoned({ row, server }: Case, code: string, what: string): Diagnosis {
  const found = warning(code, subject(row), `Database ${row.name} on server ${server.name} ${what}.`)
  // Once promised to be dropped it is nobody's for ever; what was being made may have been finished before a restore.
  const proven = row.state === 'dropping' || !row.beforeAdoption
  return proven ? mendable(found, dropAbandoned(row.id, what)) : found
}

function template(one: Case): Diagnosis[] {
  const { row, server, seen } = one
  const again = `saasctl template build ${row.template} --server ${server.name} --again`
  const name = `The database of template ${row.template} on server ${server.name}`
  if (!isThere(one)) {
    return [
      wrong('template.absent', subject(row), `${name} (${row.name}) is gone: no tenant can be made from it.`, again)
    ]
  }
  const open = which('open', seen, ['app_a', 'app_b', 'readonly'])
  if (seen.database === 'closed' && open.length === 0) return []
  const message = `${name} (${row.name}) is open: whoever is connected keeps tenants from being made.`
  return [mendable(wrong('template.open', subject(row), message), sealTemplate(row.id))]
}

/** A sign-up would be given it at once. What is there is taken out of the pool, and only what is gone is dropped. */
function warm(one: Case): Diagnosis[] {
  const { row, server, seen } = one
  if (seen.database === 'open' && which('open', seen).length === loginRoles.length) return []
  const what = isThere(one) ? 'cannot be entered by its logins' : 'is gone'
  const found = wrong(
    'warm.broken',
    subject(row),
    `Warm database ${row.name} on server ${server.name} ${what}; the next tenant would get it.`
  )
  const drops = !isThere(one) && !row.beforeAdoption
  return [mendable(found, drops ? dropAbandoned(row.id, what) : quarantine(row.id, what))]
}

function retired({ row, server }: Case): Diagnosis[] {
  return [
    fine(
      'database.retired',
      subject(row),
      `Database ${row.name} on server ${server.name} is kept back; no tenant has it.`
    )
  ]
}

function placed(one: Case): Diagnosis[] {
  const { row, server, seen } = one
  const its = `Database ${row.name} of tenant ${row.slug} on server ${server.name}`
  if (row.slug === null || row.tenantId === null) {
    const message = `Database ${row.name} on server ${server.name} is a tenant’s, but no tenant has it.`
    return [wrong('database.unclaimed', subject(row), message, 'Find out whose it was before it is dropped by hand.')]
  }
  if (seen.database === 'absent') {
    return [wrong('database.absent', subject(row), `${its} is gone.`, 'Restore it from a backup.')]
  }
  if (seen.database === 'debris') {
    const message = `${its} cannot be entered any more: a drop of it was cut short.`
    return [wrong('database.debris', subject(row), message, 'Restore it from a backup.')]
  }
  return [...doors(one, its), ...logins(one, row.slug, row.tenantId)]
}

function doors({ row, seen }: Case, its: string): Diagnosis[] {
  if (seen.database === 'open' || row.status === 'deleted') return []
  const fix = 'Let connections in again with the server’s own tools, once it is clear why they were shut out.'
  return [wrong('database.closed', subject(row), `${its} lets nobody in.`, fix)]
}

function logins({ row, seen }: Case, slug: string, tenantId: string): Diagnosis[] {
  const lost = which('absent', seen)
  const open = which('open', seen, closedRoles(row.status))
  const closed = row.status === 'active' ? which('closed', seen, ['owner', row.activeApp, 'readonly']) : []
  const said: Diagnosis[] = []
  if (lost.length > 0) {
    said.push(wrong('login.absent', subject(row), `Tenant ${slug} has lost its ${list(lost)} login on the server.`))
  }
  if (open.length > 0) {
    const message = `Tenant ${slug} is ${row.status}, but its ${list(open)} login is open.`
    said.push(mendable(wrong('login.open', subject(row), message), closeTenant(row.id, tenantId)))
  }
  if (closed.length > 0) {
    const message = `Tenant ${slug} is active, but its ${list(closed)} login was closed on the server.`
    const fix = closed.includes('owner') ? undefined : `saasctl tenant resume ${slug}`
    said.push(warning('login.closed', subject(row), message, fix))
  }
  return said
}

const list = (roles: LoginRole[]) => roles.join(', ')

function subject({ slug, name }: KnownDatabase): string {
  return slug === null ? `database:${name}` : `tenant:${slug}`
}
