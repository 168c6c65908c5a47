import t from 'tap'
import { kinds } from '../../src/kinds.js'
import { killStage, testKillPoints } from '../support/kill-and-recover.js'
import { scenes } from '../support/scenes.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()
const stage = await killStage()
t.teardown(() => stage.close())

/** Every kind that has no file of its own beside this one: those that are made tomorrow, too. */
await testKillPoints(
  t,
  stage,
  kinds.names.filter(name => !name.startsWith('tenant.')),
  6
)

t.test('every kind of operation there is has a scene to be killed in', async t => {
  t.strictSame(Object.keys(scenes).sort(), [...kinds.names].sort())
})
