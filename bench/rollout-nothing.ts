import { headsOf, planRollout, schemasOf } from '../src/rollouts/plan.js'
import { usualSettings } from '../src/rollouts/settings.js'
import { type ControlPlane, controlPlane } from '../test/support/control-plane.js'
import { fillCatalog } from './support/fill-catalog.js'
import { alternate } from './support/measure.js'
import { must } from './support/plane.js'
import { figure, ms } from './support/report.js'

// A rollout over a fleet where every tenant stands where it should, in a fleet of a hundred and in one of ten thousand.
const few = 100
const many = Number(process.argv[2] ?? 10_000)

const planes: ControlPlane[] = []
try {
  for (const tenants of [few, many]) {
    const plane = await controlPlane({ addServer: false })
    planes.push(plane)
    const heads = headsOf(await schemasOf(plane.saasctl, 'standard'), null)
    const head = must(heads.find(({ engine }) => engine === 'postgres')).checksum
    await plane.catalogAsSuperuser(async client => {
      await fillCatalog(client, tenants)
      await client.query('update saasctl.database set migrations_checksum = $1', [head])
      await client.query('vacuum analyze saasctl.database')
    })
  }
  const nothingToDo = (plane: ControlPlane) => async () => {
    const wish = { template: 'standard', selector: {}, wholeFleet: true, direction: 'up', to: null } as const
    const { targets } = await planRollout(plane.saasctl, { ...wish, allow: [], settings: usualSettings })
    if (targets > 0) throw new Error(`${targets} tenants were to be migrated.`)
  }
  const [small, large] = planes.map(nothingToDo)
  const times = await alternate({ few: must(small), many: must(large) }, { rounds: 60, warmUp: 10 })
  figure({
    what: `nothing to do over ${many} tenants`,
    measured: ms(times.many.median),
    against: `${few} tenants ${ms(times.few.median)}`,
    ratio: times.many.median / times.few.median,
    target: { atMost: 1.5 }
  })
  figure({
    what: 'the slowest of them',
    measured: ms(times.many.quantile(1)),
    against: 'a second',
    ratio: times.many.quantile(1) / 1000,
    target: { atMost: 1 }
  })
} finally {
  for (const plane of planes) await plane.close()
}
