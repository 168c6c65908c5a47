import type pg from 'pg'
import { together } from './support/measure.js'
import { benchPlane, chosenMedium, create, session } from './support/plane.js'
import { figure, note, perSecond } from './support/report.js'

// How near many creates at once come to what the server can do at best: CREATE DATABASE and nothing else.
const batches = 5
const perBatch = 20
const width = 2

const plane = await benchPlane(chosenMedium('disk'))
try {
  const { access, template } = plane
  const controls = await Promise.all(Array.from({ length: width }, () => session(access, 'postgres', access.control)))
  const seconds = { saasctl: 0, bare: 0 }
  for (let batch = 0; batch < batches; batch += 1) {
    seconds.saasctl += await inSeconds(() =>
      together(perBatch, width, index => create(plane, `many-${batch}-${index}`))
    )
    const free = [...controls]
    seconds.bare += await inSeconds(() =>
      together(perBatch, width, async index => {
        const control = free.pop() as pg.Client
        await control.query(`create database bare_${batch}_${index} template "${template.database}"`)
        free.push(control)
      })
    )
  }
  await Promise.all(controls.map(control => control.end()))
  const rate = { saasctl: (batches * perBatch) / seconds.saasctl, bare: (batches * perBatch) / seconds.bare }
  figure({
    what: `${batches * perBatch} creates, ${width} at a time`,
    measured: perSecond(rate.saasctl),
    against: `bare CREATE DATABASE ${perSecond(rate.bare)}`,
    ratio: rate.saasctl / rate.bare,
    target: { atLeast: 0.6 }
  })

  let failed = 0
  const took = await inSeconds(() =>
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
    against: `none (${perSecond(200 / took)})`,
    ratio: failed,
    target: { atMost: 0 }
  })
} finally {
  await plane.close()
}

async function inSeconds(run: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await run()
  return (performance.now() - from) / 1000
}
