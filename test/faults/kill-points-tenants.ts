import t from 'tap'
import { kinds } from '../../src/kinds.js'
import { killStage, testKillPoints } from '../support/kill-and-recover.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()
const stage = await killStage()
t.teardown(() => stage.close())

await testKillPoints(
  t,
  stage,
  kinds.names.filter(name => name.startsWith('tenant.')),
  6
)
