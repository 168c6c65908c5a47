import t from 'tap'
import { killStage, mysqlKillStage, testKillPoints } from '../support/kill-and-recover.js'
const stage = await (process.env['MY'] ? mysqlKillStage() : killStage())
t.teardown(() => stage.close())
await testKillPoints(t, stage, ['export.create', 'export.import'])
