import { listServers, type ServerRow } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import type { DatabaseNames, DatabaseState, Engine, LoginRole, ServerAccess } from '../engines/engine.js'
import { loginRoles } from '../engines/engine.js'
import { asSaasctlError, type SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { expected } from './expected.js'
import { type Diagnosis, fine, wrong } from './finding.js'
import { knownDatabases, whereabouts } from './queries/databases.js'
import { atWork } from './queries/operations.js'
import { type Found, foundById, unexpected } from './unexpected.js'

/** Servers looked at side by side: what one waits for is mostly the other end. */
const AT_ONCE = 4

/** Every server beside the catalog, both ways. One that cannot be reached is a finding, and no trouble for the others. */
export async function checkServers(context: Context): Promise<Diagnosis[]> {
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency: AT_ONCE })
  const servers = await listServers(context.catalog)
  const said = await Promise.all(servers.map(server => queue.add(() => checkServer(context, server))))
  return said.flat()
}

async function checkServer(context: Context, server: ServerRow): Promise<Diagnosis[]> {
  const said: Diagnosis[] = []
  try {
    const engine = await context.engine(server.engine)
    const access = await serverAccess(context.keys, server)
    for (const finding of await engine.check(access)) {
      said.push({ finding: { ...finding, subject: `server:${server.name}` } })
    }
    said.push(...(await checkDatabases(context, server, engine, access)))
  } catch (thrown) {
    said.push(failed(server, asSaasctlError(thrown)))
  }
  return said
}

function failed(server: ServerRow, { code, message, hint }: SaasctlError): Diagnosis {
  return wrong(code.toLowerCase().replace('_', '.'), `server:${server.name}`, `Server ${server.name}: ${message}`, hint)
}

/**
 * Looks twice where something seems wrong, and believes what was seen both times: catalog and server cannot be read in one
 * moment, and an operation may have begun or ended between the two.
 */
async function checkDatabases(
  context: Context,
  server: ServerRow,
  engine: Engine,
  access: ServerAccess
): Promise<Diagnosis[]> {
  const first = await look(context, server, engine, access)
  if (!first.said.some(troubling)) {
    const message = `Server ${server.name} holds ${first.count} databases, as the catalog says.`
    return [...first.said, fine('server.databases', `server:${server.name}`, message)]
  }
  const seen = new Set(first.said.map(key))
  return (await look(context, server, engine, access)).said.filter(diagnosis => seen.has(key(diagnosis)))
}

const troubling = ({ finding }: Diagnosis) => finding.level !== 'ok'
const key = ({ finding }: Diagnosis) => `${finding.code} ${finding.subject}`

/** One inventory of the server for all of its databases, however many there are. */
async function look(
  { catalog }: Context,
  server: ServerRow,
  engine: Engine,
  access: ServerAccess
): Promise<{ said: Diagnosis[]; count: number }> {
  const known = await knownDatabases(catalog, server.id)
  const found = foundById(await engine.inventory(access))
  // Read last: whatever began to change while the server was looked at is in it.
  const busy = await atWork(catalog)
  const quiet = known.filter(row => !busy.has(row.id) && !busy.has(row.tenantId ?? ''))
  const said: Diagnosis[] = []
  for (const row of quiet) {
    const names = { ...engine.names(row.id), database: row.name }
    // An adopted one that kept its name is in no inventory of names of ours.
    const ours = engine.names(row.id).database === row.name
    const seen = ours ? stateOf(names, found.get(row.id)) : await engine.state(access, names)
    said.push(...expected({ server, row, seen }))
  }
  for (const { id } of known) found.delete(id)
  const strange = [...found.values()].filter(({ id }) => !busy.has(id))
  const rows = await whereabouts(
    catalog,
    strange.map(({ id }) => id)
  )
  return { said: [...said, ...unexpected(server, strange, rows)], count: known.length }
}

function stateOf(names: DatabaseNames, found: Found | undefined): Pick<DatabaseState, 'database' | 'logins'> {
  const logins = loginRoles.map(role => [role, found?.roles.get(names.logins[role]) ?? 'absent'] as const)
  return {
    database: found?.database ?? 'absent',
    logins: Object.fromEntries(logins) as Record<LoginRole, 'absent' | 'closed' | 'open'>
  }
}
