import t from 'tap'
import { killStage, testKillPoints } from '../support/kill-and-recover.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()
const stage = await killStage()
t.teardown(() => stage.close())

/** What makes databases; everything else is in kill-points-others.ts. */
await testKillPoints(t, stage, ['tenant.create', 'template.build', 'warm.create'])
