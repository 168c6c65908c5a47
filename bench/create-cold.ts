import { currentPlan } from '../src/templates/register.js'
import { createByHand, hands } from './support/by-hand.js'
import { alternate } from './support/measure.js'
import { benchPlane, chosenMedium, create } from './support/plane.js'
import { figure, ms } from './support/report.js'

// What ledger, fence, sealed passwords and looking before acting cost over a straight script of the same statements.
const plane = await benchPlane(chosenMedium('disk'))
try {
  const { saasctl } = plane
  const plan = await currentPlan(saasctl, 'free')
  const script = await hands(plane)
  let made = 0
  const { cold, hand } = await alternate(
    {
      cold: () => create(plane, `cold-${++made}`),
      hand: () => createByHand(plane, script, `hand-${++made}`, plan.definition.limits)
    },
    { rounds: 40, warmUp: 5 }
  )
  await script.close()
  figure({
    what: 'create from the template',
    measured: ms(cold.median),
    against: `the same SQL by hand ${ms(hand.median)}`,
    ratio: cold.median / hand.median,
    target: { atMost: 1.25 }
  })
} finally {
  await plane.close()
}
