import t from 'tap'
import { kinds } from '../../src/kinds.js'
import { mysqlKillStage, testKillPoints } from '../support/kill-and-recover.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { skipWithoutPostgres } from '../support/servers.js'

if ((await skipWithoutPostgres(t)) || (await skipWithoutMysql(t))) process.exit()
const stage = await mysqlKillStage()
t.teardown(() => stage.close())

/** Without transactions around DDL, what a killed process has left is for the next one to find. */
await testKillPoints(
  t,
  stage,
  // No server of this engine copies a database by itself.
  kinds.names.filter(name => name !== 'tenant.clone.held'),
  8
)
