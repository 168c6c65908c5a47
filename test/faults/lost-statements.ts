import t from 'tap'
import { fleetAudit } from '../support/fleet-audit.js'
import { badRoad, journeys, loseEach } from '../support/lose-each.js'
import { newSlug } from '../support/scenes.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { doVerb } from '../support/verbs.js'

if (await skipWithoutPostgres(t)) process.exit()
const road = await badRoad()
t.teardown(() => road.close())
const { plane, tenants, proxy } = road
const audit = () => fleetAudit(plane, { servers: [tenants] })

t.test('control leaves a new database’s owner although it was cut off before it could', async t => {
  const trap = proxy.lose('question', 'REVOKE "t')
  await doVerb(plane.saasctl, 'build', {})
  t.ok(trap.sprung)
  t.strictSame(await audit(), [])
})

t.test('a template’s owner leaves the roles of a copy although it was cut off before it could', async t => {
  const trap = proxy.lose('question', 'REVOKE "t')
  await doVerb(plane.saasctl, 'create', { slug: newSlug() })
  t.ok(trap.sprung)
  t.strictSame(await audit(), [])
})

/** Every few messages here, with another beginning each; `npm run soak` loses every one. */
const strides = { build: 11, create: 7, purge: 13, migrate: 4 } as const
for (const [index, lost] of (['question', 'answer'] as const).entries()) {
  for (const [name, stride] of Object.entries(strides) as Array<[keyof typeof strides, number]>) {
    t.test(`"${name}" is done whole although any ${lost} is lost on the way to the server`, async t => {
      const { lost: count, troubles } = await loseEach(road, lost, journeys[name], { from: index + 1, stride })
      t.ok(count > 2, `${count} of them were lost, one at a time`)
      t.strictSame(troubles, [])
    })
  }
}
