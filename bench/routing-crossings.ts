import { setTimeout as sleep } from 'node:timers/promises'
import { createTenants } from '../src/router.js'
import { together } from './support/measure.js'
import { figure, perSecond } from './support/report.js'
import { routedPlane } from './support/routed-plane.js'

// Requests of 200 tenants, interleaved: each must be answered from its own database. The first of fifty over fewer connections
// than tenants, which are opened and closed all the time; then there is one for each. `node dist/bench/routing-crossings.js
// 2000 20` takes seconds.
const requests = Number(process.argv[2] ?? 1_000_000)
const tenants = Number(process.argv[3] ?? 200)

const plane = await routedPlane(tenants, { config: { max_connections: '600' } })
const router = await createTenants({ config: plane.routerConfig, entities: [] })
try {
  const databases = new Map<string, string>()
  for (const slug of plane.slugs) {
    const [row] = await plane.saasctl.catalog.query<{ name: string }>(
      `select d.name from saasctl.tenant t join saasctl.placement p on p.tenant_id = t.id
       join saasctl.database d on d.id = p.database_id where t.slug = $1`,
      [slug]
    )
    databases.set(slug, row?.name ?? '')
  }
  let [crossings, failures] = [0, 0]
  const ask = async () => {
    // Bursts of one tenant among the others, as an application has them.
    const slug = plane.slugs[Math.floor(Math.random() ** 2 * tenants)] ?? ''
    try {
      await router.use(slug, async ({ tenant, db }) => {
        const [row] = await (await db()).query('select current_database() as name')
        if (row.name !== databases.get(slug) || tenant.slug !== slug) crossings += 1
      })
    } catch {
      failures += 1
    }
  }
  const few = Math.ceil(requests / 50)
  const from = performance.now()
  await connections(Math.ceil(tenants / 4))
  await together(few, 64, ask)
  await connections(2 * tenants)
  await together(requests - few, 64, ask)
  const rate = (requests / (performance.now() - from)) * 1000
  const over = `${requests} interleaved requests of ${tenants} tenants (${perSecond(rate)})`
  figure({
    what: `${over}, crossings`,
    measured: String(crossings),
    against: 'none',
    ratio: crossings,
    target: { atMost: 0 }
  })
  figure({
    what: `${over}, failures`,
    measured: String(failures),
    against: 'none',
    ratio: failures,
    target: { atMost: 0 }
  })
} finally {
  await router.close(0)
  await plane.close()
}

/** All routers hear of it with their next beat. */
async function connections(count: number): Promise<void> {
  await plane.catalogAsSuperuser(client => client.query('update saasctl.server set router_connections = $1', [count]))
  await sleep(1_500)
}
