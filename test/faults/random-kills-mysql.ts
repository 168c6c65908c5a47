import t from 'tap'
import { mysqlKillStage } from '../support/kill-and-recover.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { randomFrom, randomKill } from '../support/random-kill.js'
import { skipWithoutPostgres } from '../support/servers.js'

if ((await skipWithoutPostgres(t)) || (await skipWithoutMysql(t))) process.exit()
const stage = await mysqlKillStage()
t.teardown(() => stage.close())

const kills = 10
const seed = Date.now() % 2 ** 31

await t.test('nothing is lost, doubled or left behind, whatever is killed: process, catalog or MariaDB', async t => {
  t.comment(`Again with: npm run soak -- --only mysql --kills ${kills} --seed ${seed}`)
  const random = randomFrom(seed)
  for (let index = 0; index < kills; index += 1) {
    const { story, hit, findings } = await randomKill(stage, random)
    t.strictSame(findings, [], `${story}${hit ? '' : ' (it had ended before)'}`)
  }
})
