import mysql from 'mysql2/promise'
import pg from 'pg'
import { listServers } from '../../src/catalog/servers.js'
import { serverAccess } from '../../src/databases/access.js'
import { Logins } from '../../src/databases/logins.js'
import { startRollout } from '../../src/rollouts/control.js'
import { planRollout, type RolloutWish } from '../../src/rollouts/plan.js'
import { type RolloutSettings, usualSettings } from '../../src/rollouts/settings.js'
import type { Saasctl } from '../../src/saasctl.js'
import { mustFind } from '../../src/tenants/find.js'

/** Plans and starts a rollout of the tiny template; nobody works it yet. */
export async function startedRollout(
  saasctl: Saasctl,
  settings: Partial<RolloutSettings> = {},
  wish: Partial<RolloutWish> = {}
): Promise<string> {
  const id = await plannedRollout(saasctl, settings, wish)
  await startRollout(saasctl, id)
  return id
}

export async function plannedRollout(
  saasctl: Saasctl,
  settings: Partial<RolloutSettings> = {},
  wish: Partial<RolloutWish> = {}
): Promise<string> {
  const { id } = await planRollout(saasctl, {
    template: 'tiny',
    selector: {},
    wholeFleet: wish.selector === undefined,
    direction: 'up',
    to: null,
    allow: [],
    settings: { ...usualSettings, ...settings },
    ...wish
  })
  if (id === undefined) throw new Error('There was nothing to do.')
  return id
}

/** How each target stands, by the tenant's slug. */
export async function targetStates(
  saasctl: Saasctl,
  id: string
): Promise<Record<string, { status: string; attempt: number; code: string | null }>> {
  const rows = await saasctl.catalog.query<{ slug: string; status: string; attempt: number; code: string | null }>(
    `select n.slug, t.status, t.attempt, t.error->>'code' as code
     from saasctl.rollout_target t join saasctl.tenant n on n.id = t.tenant_id where t.rollout_id = $1 order by 1`,
    [id]
  )
  return Object.fromEntries(rows.map(({ slug, ...state }) => [slug, state]))
}

/** A session of the tenant's owner that nobody has asked for: it stays until it is closed. */
export interface OwnerHold {
  query(sql: string): Promise<unknown>
  close(): Promise<void>
}

export async function holdAsOwner(saasctl: Saasctl, slug: string): Promise<OwnerHold> {
  const tenant = await mustFind(saasctl.catalog, slug)
  const server = (await listServers(saasctl.catalog)).find(({ name }) => name === tenant.server)
  if (!server || tenant.databaseId === null) throw new Error(`${slug} has no place.`)
  const { host, port } = await serverAccess(saasctl.keys, server)
  const logins = await Logins.of(saasctl.catalog, saasctl.keys, tenant.databaseId)
  const { login: user, password } = await logins.credentials('owner')
  const way = { host, port, user, password: password.reveal(), database: tenant.database ?? '' }
  if (server.engine === 'mysql') {
    const connection = await mysql.createConnection(way)
    connection.on('error', () => {})
    return { query: sql => connection.query(sql), close: () => connection.end() }
  }
  const client = new pg.Client(way)
  client.on('error', () => {})
  await client.connect()
  return { query: sql => client.query(sql), close: () => client.end() }
}
