import { currentPlan, currentTemplate } from '../src/templates/register.js'
import { fillWarm } from '../src/templates/warm.js'
import { alternate, together } from './support/measure.js'
import { benchPlane, chosenMedium, create, session } from './support/plane.js'
import { figure, ms } from './support/report.js'

// A tenant from the warm pool is one catalog transaction; a bare CREATE DATABASE is the least that any other way can cost.
const rounds = { rounds: 30, warmUp: 5 }

const plane = await benchPlane(chosenMedium('disk'))
try {
  const { saasctl, row, template } = plane
  const kept = await currentTemplate(saasctl, 'standard')
  const plan = await currentPlan(saasctl, kept.definition.defaultPlan)
  const filled = await fillWarm(saasctl, row, kept, plan, rounds.rounds + rounds.warmUp)
  await together(filled.length, 2, index => saasctl.operations.wake(filled[index]?.id ?? ''))

  const control = await session(plane.access, 'postgres', plane.access.control)
  let made = 0
  const { warm, bare } = await alternate(
    {
      warm: async () => {
        const { tenant, operation } = await create(plane, `warm-${++made}`)
        if (tenant.status !== 'active' || operation.epoch !== 0) throw new Error(`${tenant.slug} is not from the pool.`)
      },
      bare: () => control.query(`create database bare_${++made} template "${template.database}"`)
    },
    rounds
  )
  await control.end()
  figure({
    what: 'create from the warm pool',
    measured: ms(warm.median),
    against: `bare CREATE DATABASE ${ms(bare.median)}`,
    ratio: warm.median / bare.median,
    target: { atMost: 0.25 }
  })
} finally {
  await plane.close()
}
