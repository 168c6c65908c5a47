import t from 'tap'
import { killStage } from '../support/kill-and-recover.js'
import { randomFrom, randomKill } from '../support/random-kill.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (await skipWithoutPostgres(t)) process.exit()
const stage = await killStage()
t.teardown(() => stage.close())

const kills = 20
const seed = Date.now() % 2 ** 31

t.test('nothing is lost, doubled or left behind, whatever is killed at whatever moment', async t => {
  t.comment(`Again with: npm run soak -- --only random --kills ${kills} --seed ${seed}`)
  const random = randomFrom(seed)
  for (let index = 0; index < kills; index += 1) {
    const { story, hit, findings } = await randomKill(stage, random)
    t.strictSame(findings, [], `${story}${hit ? '' : ' (it had ended before)'}`)
  }
})
