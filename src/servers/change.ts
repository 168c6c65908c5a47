import type { Json } from '../canonical.js'
import type { Transaction } from '../catalog/catalog.js'
import { databasesOnServer } from '../catalog/databases.js'
import { lockServer, type ServerChange, type ServerRow, updateServer as write } from '../catalog/servers.js'
import { sealControlPassword, serverAccess } from '../databases/access.js'
import type { Finding } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { parseLabels } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { findServer } from './find.js'
import { defaultTls } from './tls.js'

export interface ServerUpdate {
  host?: string | undefined
  port?: number | undefined
  region?: string | undefined
  capacity?: number | null | undefined
  /** What all routers together may hold on it; at least 2. They hear of it when they renew their shares. */
  routerConnections?: number | undefined
  labels?: Record<string, string> | undefined
  login?: string | undefined
  password?: Secret | undefined
}

/**
 * Changes where a server is, how it is entered or what it may hold. A new address or login is tried before it is written.
 * A server that moves away from this machine must prove from then on who it is.
 */
export async function updateServer(context: Context, name: string, update: ServerUpdate): Promise<ServerRow> {
  const server = await findServer(context.catalog, name)
  const { login, password, ...plain } = update
  if (update.labels) parseLabels(update.labels)
  if (update.routerConnections !== undefined) checkConnections(update.routerConnections)
  const change: ServerChange = {
    ...plain,
    ...(update.host !== undefined && server.tls.mode === 'disable' && { tls: defaultTls(update.host) }),
    ...(login !== undefined && { controlLogin: login }),
    ...(password && { controlPassword: await sealControlPassword(context.keys, server.id, password) })
  }
  if (update.host !== undefined || update.port !== undefined || login !== undefined || password) {
    const engine = await context.engine(server.engine)
    const changed = { ...server, ...withoutUndefined(change) }
    change.facts = { ...(await engine.probe(await serverAccess(context.keys, changed))) }
  }
  return writeChange(context, server, change, 'server.update', {
    ...plain,
    ...(login !== undefined && { login })
  } as Json)
}

function checkConnections(count: number): void {
  if (Number.isInteger(count) && count >= 2 && count <= 100_000) return
  throw new SaasctlError('INVALID_INPUT', `Routers cannot share ${count} connections: it must be 2 to 100,000.`, {
    hint: 'It is less than the max_connections of the server: others want to log in there, too.'
  })
}

/** New databases go elsewhere; those that are there stay and work. Twice is OK. */
export async function cordonServer(context: Context, name: string): Promise<ServerRow> {
  return writeChange(context, await findServer(context.catalog, name), { status: 'cordoned' }, 'server.cordon', {})
}

export async function uncordonServer(context: Context, name: string): Promise<ServerRow> {
  return writeChange(context, await findServer(context.catalog, name), { status: 'active' }, 'server.uncordon', {})
}

/** Forgets a server that holds no database of ours; SERVER_IN_USE names what is left. The server itself is not touched. */
export async function removeServer(context: Context, name: string): Promise<ServerRow> {
  const server = await findServer(context.catalog, name)
  return writeChange(context, server, { status: 'removed' }, 'server.remove', {}, async tx => {
    // Whoever takes a place on it locks its row first: after this nobody does.
    await lockServer(tx, server.id)
    const left = (await databasesOnServer(tx, server.id)).filter(row => row.state !== 'dropped')
    if (left.length > 0) throw inUse(name, left)
  })
}

function inUse(name: string, left: Array<{ slug: string | null }>): SaasctlError {
  const tenants = left.flatMap(row => row.slug ?? [])
  return new SaasctlError('SERVER_IN_USE', `Server ${name} still holds ${left.length} databases${example(tenants)}.`, {
    hint: `Delete its tenants, and drop its templates and warm databases: "saasctl template drop standard --server ${name}".`
  })
}

function example(tenants: string[]): string {
  return tenants.length > 0 ? `, among them ${tenants.slice(0, 3).join(', ')}` : ', templates and warm ones'
}

/** Logs in and looks for every right and setting that the control plane needs. */
export async function checkServer(context: Context, name: string): Promise<{ server: ServerRow; findings: Finding[] }> {
  const server = await findServer(context.catalog, name)
  const engine = await context.engine(server.engine)
  const access = await serverAccess(context.keys, server)
  const facts = await engine.probe(access)
  const findings = await engine.check(access)
  await write(context.catalog, server.id, { facts: { ...facts } })
  return { server, findings }
}

async function writeChange(
  context: Context,
  server: ServerRow,
  change: ServerChange,
  action: string,
  payload: Json,
  check?: (tx: Transaction) => Promise<void>
): Promise<ServerRow> {
  await context.catalog.transaction(context.actor, async tx => {
    await check?.(tx)
    await write(tx, server.id, change)
    tx.audit({ chain: 'server', action, subject: `server:${server.id}`, payload })
  })
  return { ...server, ...withoutUndefined(change) }
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T
}
