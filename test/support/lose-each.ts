import type { SaasctlError } from '../../src/errors.js'
import { fleetAudit } from './fleet-audit.js'
import { type Lost, proxyTo, type TcpProxy } from './proxy.js'
import { newSlug } from './scenes.js'
import { settle } from './settle.js'
import { type TwoServers, type TwoServersOptions, twoServers } from './two-servers.js'
import { doVerb, type VerbName } from './verbs.js'

/** A control plane whose way to its tenants' server can be cut. */
export interface BadRoad extends TwoServers {
  proxy: TcpProxy
}

export async function badRoad(options: Omit<TwoServersOptions, 'port'> = {}): Promise<BadRoad> {
  let proxy: TcpProxy | undefined
  const servers = await twoServers({
    ...options,
    port: async tenants => {
      proxy = await proxyTo(tenants)
      return proxy.port
    }
  })
  if (!proxy) throw new Error('There is no proxy.')
  const road = proxy
  const close = async () => {
    await servers.close()
    await road.close()
  }
  return { ...servers, proxy: road, close }
}

type Argument = Parameters<typeof doVerb>[2]

/** What is done while a message is lost, and what must be there before. */
export interface Journey {
  verb: VerbName
  prepare(road: BadRoad): Promise<Argument>
}

export const journeys: Record<'build' | 'create' | 'purge' | 'migrate', Journey> = {
  build: { verb: 'build', prepare: async () => ({ again: true }) },
  create: {
    verb: 'create',
    // One at a time, so that the look at the whole fleet stays a short one.
    prepare: async road => {
      await purgeAll(road)
      return { slug: newSlug() }
    }
  },
  purge: {
    verb: 'purge',
    prepare: async ({ plane }) => {
      const slug = newSlug()
      await doVerb(plane.saasctl, 'create', { slug })
      return { slug }
    }
  },
  migrate: {
    verb: 'migrate',
    prepare: async road => {
      await purgeAll(road)
      const slug = newSlug()
      await doVerb(road.plane.saasctl, 'create', { slug })
      return { slug, direction: 'down' }
    }
  }
}

async function purgeAll({ plane: { saasctl } }: BadRoad): Promise<void> {
  const rows = await saasctl.catalog.query<{ slug: string }>(`select slug from saasctl.tenant where status = 'active'`)
  for (const { slug } of rows) await doVerb(saasctl, 'purge', { slug })
}

/**
 * Does it again and again, and each time the connection to the tenants' server is lost some messages later, until there
 * is no later one: between any two statements, in the middle of logging in, wherever. Gives what was wrong afterwards.
 */
export async function loseEach(
  road: BadRoad,
  lost: Lost,
  { verb, prepare }: Journey,
  { from = 0, stride = 1 } = {}
): Promise<{ lost: number; troubles: string[] }> {
  const { plane, tenants, proxy } = road
  const troubles: string[] = []
  for (let skip = from, count = 0; ; skip += stride, count += 1) {
    const argument = await prepare(road)
    const trap = proxy.lose(lost, '', skip)
    let outcome = await attempt(plane.saasctl, verb, argument)
    proxy.calm()
    if (!trap.heard) return { lost: count, troubles }
    await settle(plane.saasctl)
    // Lost before anything was promised: it says so, and the next try is the first.
    if (outcome?.code === 'SERVER_UNREACHABLE') outcome = await attempt(plane.saasctl, verb, argument)
    if (outcome) troubles.push(`message ${skip}: ${outcome.code}: ${outcome.message}`)
    const findings = await fleetAudit(plane, { servers: [tenants] })
    troubles.push(...findings.map(finding => `message ${skip}: ${finding}`))
  }
}

function attempt(...[saasctl, verb, argument]: Parameters<typeof doVerb>): Promise<SaasctlError | undefined> {
  return doVerb(saasctl, verb, argument).then(
    () => undefined,
    (error: SaasctlError) => error
  )
}
