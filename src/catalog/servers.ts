import type { Capabilities, EngineName, Tls } from '../engines/engine.js'
import { prepared, type Queryable } from './catalog.js'

export interface ServerRow {
  id: string
  name: string
  engine: EngineName
  host: string
  port: number
  tls: Tls
  maintenance: string
  controlLogin: string
  /** Sealed with the control master key. */
  controlPassword: Buffer
  region: string | null
  labels: Record<string, string>
  capacity: number | null
  databases: number
  /** Connections that all routers together may hold on it. */
  routerConnections: number
  status: 'active' | 'cordoned' | 'removed'
  embedded: boolean
  facts: { version?: string; major?: number; flavour?: string; capabilities?: Capabilities }
  createdAt: Date
}

const columns = `id, name, engine, host, port, tls, maintenance, control_login as "controlLogin",
  control_password as "controlPassword", region, labels, capacity, databases,
  router_connections as "routerConnections", status, embedded, facts, created_at as "createdAt"`

export async function listServers(q: Queryable): Promise<ServerRow[]> {
  return q.query<ServerRow>(`select ${columns} from saasctl.server where status <> 'removed' order by name`)
}

export async function serverByName(q: Queryable, name: string): Promise<ServerRow | undefined> {
  const [row] = await q.query<ServerRow>(
    `select ${columns} from saasctl.server where name = $1 and status <> 'removed'`,
    [name]
  )
  return row
}

export async function serverById(q: Queryable, id: string): Promise<ServerRow | undefined> {
  const [row] = await q.query<ServerRow>(prepared(`select ${columns} from saasctl.server where id = $1`), [id])
  return row
}

/** Whether anything was ever sealed for this catalog: a removed server counts. */
export async function everHadServer(q: Queryable): Promise<boolean> {
  return (await q.query('select from saasctl.server limit 1')).length > 0
}

export type NewServer = Omit<ServerRow, 'databases' | 'routerConnections' | 'status' | 'createdAt'>

export async function insertServer(q: Queryable, server: NewServer): Promise<void> {
  await q.query(
    `insert into saasctl.server (id, name, engine, host, port, tls, maintenance, control_login, control_password, region, labels,
       capacity, embedded, facts) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
    [
      server.id,
      server.name,
      server.engine,
      server.host,
      server.port,
      server.tls,
      server.maintenance,
      server.controlLogin,
      server.controlPassword,
      server.region,
      server.labels,
      server.capacity,
      server.embedded,
      server.facts
    ]
  )
}

export type ServerChange = Partial<
  Pick<
    ServerRow,
    | 'host'
    | 'port'
    | 'tls'
    | 'controlLogin'
    | 'controlPassword'
    | 'region'
    | 'labels'
    | 'capacity'
    | 'routerConnections'
    | 'status'
    | 'facts'
  >
>

const changeable: Record<keyof ServerChange, string> = {
  host: 'host',
  port: 'port',
  tls: 'tls',
  controlLogin: 'control_login',
  controlPassword: 'control_password',
  region: 'region',
  labels: 'labels',
  capacity: 'capacity',
  routerConnections: 'router_connections',
  status: 'status',
  facts: 'facts'
}

export async function updateServer(q: Queryable, id: string, change: ServerChange): Promise<void> {
  const keys = (Object.keys(change) as Array<keyof ServerChange>).filter(key => change[key] !== undefined)
  if (keys.length === 0) return
  const sets = keys.map((key, index) => `${changeable[key]} = $${index + 2}`)
  await q.query(`update saasctl.server set ${sets.join(', ')} where id = $1`, [id, ...keys.map(key => change[key])])
}

export interface Wish {
  engine: EngineName | null
  server: string | null
  region: string | null
  /** The template to be copied: where it is not built yet, its own database takes a place too. */
  templateId: string
}

/** Active servers with room that fit the wish, least loaded first: by share of capacity where one is set, else of 2,000. */
export async function serversWithRoom(q: Queryable, wish: Wish): Promise<ServerRow[]> {
  return q.query<ServerRow>(
    `select ${columns} from saasctl.server s
     where status = 'active' and (capacity is null or capacity > databases + case when exists (
         select from saasctl.database d where d.server_id = s.id and d.template_id = $4 and d.kind = 'template'
           and d.state in ('building', 'ready')) then 0 else 1 end)
       and ($1::text is null or engine = $1) and ($2::text is null or name = $2) and ($3::text is null or region = $3)
     order by databases::float8 / greatest(coalesce(capacity, 2000), 1), name`,
    [wish.engine, wish.server, wish.region, wish.templateId]
  )
}

export async function lockServer(tx: Queryable, serverId: string): Promise<void> {
  await tx.query('select from saasctl.server where id = $1 for update', [serverId])
}

/** Takes one place on the server; false when it was filled or cordoned meanwhile. */
export async function takePlace(q: Queryable, serverId: string): Promise<boolean> {
  const rows = await q.query(
    `update saasctl.server set databases = databases + 1
     where id = $1 and status = 'active' and (capacity is null or databases < capacity) returning id`,
    [serverId]
  )
  return rows.length === 1
}

export async function givePlaceBack(q: Queryable, serverId: string): Promise<void> {
  await q.query('update saasctl.server set databases = greatest(databases - 1, 0) where id = $1', [serverId])
}
