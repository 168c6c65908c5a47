import { currentPlan } from '../src/templates/register.js'
import { createByHand, hands } from './support/by-hand.js'
import { timed, together } from './support/measure.js'
import { benchPlane, chosenMedium, create, must, session } from './support/plane.js'
import { figure, note, perSecond } from './support/report.js'

// How near many creates at once come to what the server can do at best: CREATE DATABASE and nothing else.
const batches = 5
const perBatch = 20
const width = 2

const plane = await benchPlane(chosenMedium('disk'))
try {
  const { saasctl, access, template } = plane
  const plan = await currentPlan(saasctl, 'free')
  const scripts = await Promise.all(Array.from({ length: width }, () => hands(plane)))
  const controls = await Promise.all(Array.from({ length: width }, () => session(access, 'postgres', access.control)))
  let made = 0
  const variants = {
    saasctl: () => create(plane, `many-${++made}`),
    bare: () =>
      inTurn(controls, control => control.query(`create database bare_${++made} template "${template.database}"`)),
    hand: () => inTurn(scripts, script => createByHand(plane, script, `hand-${++made}`, plan.definition.limits))
  }
  const seconds = { saasctl: 0, bare: 0, hand: 0 }
  for (let batch = 0; batch < batches; batch += 1) {
    for (const name of Object.keys(variants) as Array<keyof typeof variants>) {
      seconds[name] += (await timed(() => together(perBatch, width, variants[name]))) / 1000
    }
  }
  for (const script of scripts) await script.close()
  for (const control of controls) await control.end()
  const rate = (name: keyof typeof variants) => (batches * perBatch) / seconds[name]
  const all = { what: `${batches * perBatch} creates, ${width} at a time`, measured: perSecond(rate('saasctl')) }
  figure({
    ...all,
    against: `bare CREATE DATABASE ${perSecond(rate('bare'))}`,
    ratio: rate('saasctl') / rate('bare'),
    target: { atLeast: 0.6 }
  })
  figure({ ...all, against: `the same SQL by hand ${perSecond(rate('hand'))}`, ratio: rate('saasctl') / rate('hand') })

  let failed = 0
  const took = await timed(() =>
    together(200, 8, index =>
      create(plane, `wide-${index}`).catch(error => {
        failed += 1
        note(String(error))
      })
    )
  )
  figure({
    what: '200 creates, 8 at a time',
    measured: `${failed} failed`,
    against: `none (${perSecond(200_000 / took)})`,
    ratio: failed,
    target: { atMost: 0 }
  })
} finally {
  await plane.close()
}

/** Lends one of them, as many at a time as there are. */
async function inTurn<T>(free: T[], work: (one: T) => Promise<unknown>): Promise<void> {
  const one = must(free.pop())
  await work(one)
  free.push(one)
}
