import t from 'tap'
import { killStage, testKillPoints } from '../support/kill-and-recover.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()
const stage = await killStage()
t.teardown(() => stage.close())

/** Every third, and all of them with KILL_ALL=1. */
const all = process.env['KILL_ALL'] === '1'
await testKillPoints(t, stage, ['catalog.backup', 'server.bind', 'tenant.recover'], index => all || index % 3 === 0)
