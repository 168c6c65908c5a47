import t from 'tap'
import { kinds } from '../../src/kinds.js'
import { killStage, testKillPoints } from '../support/kill-and-recover.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()
const stage = await killStage()
t.teardown(() => stage.close())

/** There are more than a hundred; every fifth is killed at each time, and all of them with KILL_ALL=1. */
const all = process.env['KILL_ALL'] === '1'
await testKillPoints(
  t,
  stage,
  kinds.names.filter(name => /^tenant\.(?:restore|clone)/.test(name)),
  index => all || index % 5 === 1
)
