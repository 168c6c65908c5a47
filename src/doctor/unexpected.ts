import type { ServerRow } from '../catalog/servers.js'
import type { Inventory } from '../engines/engine.js'
import { databaseIdOf } from '../names.js'
import { type Diagnosis, mendable, warning } from './finding.js'
import { dropAbandoned } from './mend.js'
import type { Whereabouts } from './queries/databases.js'

/** What is on the server under one name of ours. */
export interface Found {
  id: string
  name: string
  database: Inventory['databases'][number]['state'] | 'absent'
  /** Names of logins and groups, and which of the logins are open. */
  roles: Map<string, 'open' | 'closed'>
}

const NAME_LENGTH = 27

/** Sorts an inventory by the database ids behind its names. */
export function foundById({ databases, logins }: Inventory): Map<string, Found> {
  const all = new Map<string, Found>()
  const at = (name: string): Found | undefined => {
    const id = databaseIdOf(name)
    if (id === undefined) return undefined
    const found = all.get(id) ?? { id, name, database: 'absent', roles: new Map() }
    all.set(id, found)
    return found
  }
  for (const { name, state } of databases) {
    const found = at(name)
    if (found) found.database = state
  }
  for (const { name, open } of logins) at(name.slice(0, NAME_LENGTH))?.roles.set(name, open ? 'open' : 'closed')
  return all
}

/** Server → catalog: what is on the server and should not be. Pure. Only what the catalog knows as dropped is mended. */
export function unexpected(server: ServerRow, found: Found[], known: Whereabouts[]): Diagnosis[] {
  const byId = new Map(known.map(row => [row.id, row]))
  const elsewhere = new Map<string, number>()
  const said = found.flatMap(one => {
    const row = byId.get(one.id)
    if (!row) return [unknown(server, one)]
    if (row.serverId !== server.id) elsewhere.set(row.server, (elsewhere.get(row.server) ?? 0) + 1)
    return row.serverId === server.id && row.state === 'dropped' ? [leftover(server, one)] : []
  })
  return [...said, ...[...elsewhere].map(([other, count]) => overlap(server.name, other, count))]
}

function leftover(server: ServerRow, one: Found): Diagnosis {
  const message = `Database ${one.name} was dropped, but ${what(one)} still on server ${server.name}.`
  const left = warning('database.leftover', `database:${one.name}`, message)
  return mendable(left, dropAbandoned(one.id, 'it was dropped, and something of it was still there'))
}

/** Another catalog may own it, or this one did before it was rewound: nothing here can prove that it is nobody's. */
function unknown(server: ServerRow, one: Found): Diagnosis {
  const message =
    `Database ${one.name}${made(one.id)} has a name of ours, and ${what(one)} on server ${server.name}, ` +
    'but the catalog does not know it: another catalog’s, or of this one before it was restored.'
  const fix =
    'See whether it is a tenant’s with "saasctl catalog adopt --dry-run", or ask the owners of other catalogs. If it is nobody’s, drop it with the server’s own tools; saasctl never does.'
  return warning('database.unknown', `database:${one.name}`, message, fix)
}

function overlap(name: string, other: string, count: number): Diagnosis {
  const message = `Server ${name} holds ${count} databases that the catalog places on server ${other}.`
  const fix = `If both are one and the same server, remove the entry that holds no database: saasctl server remove ${name}`
  return warning('server.overlap', `server:${name}`, message, fix)
}

function what({ database, roles }: Found): string {
  const parts = [
    ...(database === 'absent' ? [] : [database === 'debris' ? 'what a cut-short drop left of it' : 'it']),
    ...(roles.size > 0 ? [`${roles.size} of its roles`] : [])
  ]
  const several = parts.length > 1 || (database === 'absent' && roles.size > 1)
  return `${parts.join(' and ')} ${several ? 'are' : 'is'}`
}

/** UUIDv7 begins with the millisecond of its making. */
function made(id: string): string {
  if (id.charAt(14) !== '7') return ''
  const at = new Date(Number.parseInt(id.replace('-', '').slice(0, 12), 16))
  return ` (made ${at.toISOString().slice(0, 16)}Z)`
}
