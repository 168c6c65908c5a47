import t from 'tap'
import { killStage, mysqlKillStage, testKillPoints } from '../support/kill-and-recover.js'
const names = ['tenant.adopt', 'tenant.release', 'template.reference']
const one = process.env['WHICH'] === 'mysql' ? await mysqlKillStage() : await killStage()
t.teardown(() => one.close())
await testKillPoints(t, one, names)
