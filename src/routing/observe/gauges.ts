import type prometheus from 'prom-client'
import type { Registry } from 'prom-client'
import type { BudgetStatistics } from '../budget/options.js'

/** What a router says of itself when somebody asks for the metrics. */
export interface Gauges {
  servers(): Promise<ServerState[]>
  /** Names whose answer is known, and lookups that were answered with what was known while the catalog was away. */
  lookup(): { known: number; stale: number; catalogUp: boolean }
}

type ServerState = BudgetStatistics & { server: string; broken: boolean }
type Amounts = Array<{ labels: Record<string, string>; value: number }>

/** Read where it is kept when somebody asks, so nothing is counted twice. Routers of one process add up, server by server. */
export function read({ Counter, Gauge }: typeof prometheus, registry: Registry, routers: ReadonlySet<Gauges>): void {
  const make = (
    Kind: typeof Counter | typeof Gauge,
    { name, help, labelNames = [] }: { name: string; help: string; labelNames?: string[] },
    amounts: () => Amounts | Promise<Amounts>
  ) =>
    new Kind({
      name: `saasctl_router_${name}`,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const now = await amounts()
        this.reset()
        for (const { labels, value } of now) this.inc(labels, value)
      }
    })
  const servers = async () => (await Promise.all([...routers].map(router => router.servers()))).flat()
  const ofServers = (
    Kind: typeof Counter | typeof Gauge,
    name: string,
    help: string,
    of: (state: ServerState) => number
  ) =>
    make(Kind, { name, help, labelNames: ['server'] }, async () =>
      (await servers()).map(state => ({ labels: { server: state.server }, value: of(state) }))
    )
  const ofLookups = (
    Kind: typeof Counter | typeof Gauge,
    name: string,
    help: string,
    of: (state: ReturnType<Gauges['lookup']>) => number
  ) => make(Kind, { name, help }, () => [...routers].map(router => ({ labels: {}, value: of(router.lookup()) })))

  make(
    Gauge,
    { name: 'connections', help: 'Connections by what they do.', labelNames: ['server', 'state'] },
    async () => (await servers()).flatMap(connections)
  )
  ofServers(Gauge, 'connection_limit', 'Connections that may be held.', ({ max }) => max)
  ofServers(Gauge, 'waiting', 'Requests that wait for a connection.', ({ waiting }) => waiting)
  ofServers(Gauge, 'breaker_open', 'Routers that leave the server alone because it does not answer.', ({ broken }) =>
    Number(broken)
  )
  ofServers(Counter, 'opens_total', 'Connections that were opened, or tried to.', ({ opens }) => opens)
  ofServers(Counter, 'open_failures_total', 'Connections that could not be opened.', ({ failures }) => failures)
  ofServers(
    Counter,
    'evictions_total',
    'Idle connections closed for a tenant that needed one.',
    ({ evictions }) => evictions
  )
  ofServers(Counter, 'timeouts_total', 'Waits for a connection that took too long.', ({ timeouts }) => timeouts)
  ofLookups(Gauge, 'known_names', 'Names, of tenants and of none, whose answer is known.', ({ known }) => known)
  ofLookups(
    Counter,
    'stale_lookups_total',
    'Lookups answered as before while the catalog was away.',
    ({ stale }) => stale
  )
  ofLookups(Gauge, 'catalog_away', 'Routers that do not hear of the catalog’s changes.', ({ catalogUp }) =>
    Number(!catalogUp)
  )
}

function connections({ server, idle, lent, opening, closing }: ServerState): Amounts {
  return Object.entries({ idle, lent, opening, closing }).map(([state, value]) => ({
    labels: { server, state },
    value
  }))
}
