import { tenantsOfTemplate } from '../src/catalog/fleet.js'
import { ownersOf } from '../src/catalog/logins.js'
import { Logins } from '../src/databases/logins.js'
import { planRollout, type RolloutWish } from '../src/rollouts/plan.js'
import { usualSettings } from '../src/rollouts/settings.js'
import { alternate, together } from './support/measure.js'
import { benchPlane, create, must, session } from './support/plane.js'
import { figure, note, perSecond } from './support/report.js'

// What it costs to look into every database and find nothing to do: against a script that logs in to each with the same
// password, at the same concurrency, and asks for the ledger. How many databases may be said; 200.
const count = Number(process.argv[2] ?? 200)
const plane = await benchPlane('memory')
try {
  const { saasctl } = plane
  await together(count - 1, 2, index => create(plane, `tenant-${index}`))
  const wish: RolloutWish = {
    template: 'standard',
    selector: {},
    wholeFleet: true,
    direction: 'up',
    to: null,
    allow: [],
    settings: usualSettings,
    verify: true
  }
  const tenants = await tenantsOfTemplate(saasctl.catalog, 'standard', {})
  const sealed = await ownersOf(
    saasctl.catalog,
    tenants.map(({ databaseId }) => databaseId)
  )
  const owners = await Promise.all(
    tenants.map(async ({ database, databaseId }) => {
      const as = await new Logins(saasctl.keys, must(sealed.get(databaseId))).credentials('owner')
      return { database, as }
    })
  )
  const byHand = () =>
    together(count, usualSettings.total, async index => {
      const { database, as } = must(owners[index])
      const client = await session(plane.access, database, as)
      await client.query('select name from saasctl.pgmigrations order by run_on, id')
      await client.end()
    })
  const took = await alternate({ ours: () => planRollout(saasctl, wish), byHand }, { rounds: 8, warmUp: 2 })
  const rate = (ms: number) => count / (ms / 1000)
  figure({
    what: `--verify over ${count} databases with nothing to do`,
    measured: perSecond(rate(took.ours.median)),
    against: `${perSecond(rate(took.byHand.median))} of connect and SELECT`,
    ratio: took.byHand.median / took.ours.median,
    target: { atLeast: 0.9 }
  })
  const first = await saasctl.catalog.query('update saasctl.database set schema_stamp = null returning id')
  const fresh = await alternate(
    {
      unknown: async () => {
        await saasctl.catalog.query('update saasctl.database set schema_stamp = null')
        await planRollout(saasctl, wish)
      }
    },
    { rounds: 2, warmUp: 0 }
  )
  note(`with ${first.length} fingerprints to take, as the first time: ${perSecond(rate(fresh.unknown.median))}`)
} finally {
  await plane.close()
}
