import { alternate } from './support/measure.js'
import { benchPlane, chosenMedium, session } from './support/plane.js'
import { figure, ms } from './support/report.js'
import { claim, fillPool } from './support/warm-pool.js'

// A tenant from the warm pool is one catalog transaction; a bare CREATE DATABASE is the least that any other way can cost.
const rounds = { rounds: 30, warmUp: 5 }

const plane = await benchPlane(chosenMedium('disk'))
try {
  await fillPool(plane, rounds.rounds + rounds.warmUp)
  const control = await session(plane.access, 'postgres', plane.access.control)
  let made = 0
  const { warm, bare } = await alternate(
    {
      warm: () => claim(plane, `warm-${++made}`),
      bare: () => control.query(`create database bare_${++made} template "${plane.template.database}"`)
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
