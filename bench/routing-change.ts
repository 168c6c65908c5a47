import { setTimeout as sleep } from 'node:timers/promises'
import { createTenants, type Tenants } from '../src/router.js'
import { invalidateCache } from '../src/tenants/invalidate.js'
import { proxyTo } from '../test/support/proxy.js'
import { Samples } from './support/measure.js'
import { figure, ms } from './support/report.js'
import { routedPlane } from './support/routed-plane.js'

// From the commit of a change in the catalog until a router goes by it: told by NOTIFY, and with a listener that is cut off.
// `node dist/bench/routing-change.js 30 2` takes seconds.
const changes = Number(process.argv[2] ?? 300)
const deafRounds = Number(process.argv[3] ?? 10)
const tenants = Math.max(deafRounds, 10)

const plane = await routedPlane(tenants)
const router = await createTenants({ config: plane.routerConfig, entities: [] })
try {
  const live: number[] = []
  for (let round = 0; round < changes; round += 1) live.push(await change(router, plane.slugs[round % tenants] ?? ''))
  const told = new Samples(live)
  figure({
    what: `a catalog change reaches a router, p99 of ${changes}`,
    measured: ms(told.p99),
    against: '20 ms',
    ratio: told.p99 / 20,
    target: { atMost: 1 }
  })
  const deaf = new Samples(await unheard())
  figure({
    what: `with a listener that hears nothing, the longest of ${deafRounds}`,
    measured: ms(deaf.quantile(1)),
    against: '5,000 ms',
    ratio: deaf.quantile(1) / 5_000,
    target: { atMost: 1 }
  })
} finally {
  await router.close(0)
  await plane.close()
}

/** Milliseconds from the change's commit until the router gives another key. */
async function change(router: Tenants, slug: string): Promise<number> {
  const key = () => router.use(slug, async ({ tenant }) => tenant.key('x'))
  const before = await key()
  await invalidateCache(plane.saasctl, slug)
  const from = performance.now()
  while ((await key()) === before) await sleep(0)
  return performance.now() - from
}

/** Every connection to the catalog goes through a proxy that passes nothing on any more to those that were there before. */
async function unheard(): Promise<number[]> {
  const url = new URL(plane.routerEnv['SAASCTL_CATALOG_URL'] ?? '')
  const proxy = await proxyTo({ host: url.hostname, port: Number(url.port) })
  url.port = String(proxy.port)
  const config = { ...plane.routerConfig, catalog: url.href }
  const router = await createTenants({ config, entities: [] })
  try {
    const took: number[] = []
    for (let round = 0; round < deafRounds; round += 1) {
      const slug = plane.slugs[round] ?? ''
      await router.use(slug, async () => {})
      proxy.hang()
      took.push(await change(router, slug))
    }
    return took
  } finally {
    await router.close(0)
    await proxy.close()
  }
}
