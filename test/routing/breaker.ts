import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { SaasctlError } from '../../src/errors.js'
import { Breaker, type BreakerOptions } from '../../src/routing/breaker.js'

const gone = new SaasctlError('SERVER_UNREACHABLE', 'Nothing answers.')
const fail = () => Promise.reject(gone)
const answer = async () => 'an answer'

function setUp(more: Partial<BreakerOptions> = {}) {
  const changes: boolean[] = []
  const clock = { now: 0 }
  const breaker = new Breaker({
    clock: () => clock.now,
    what: 'The server',
    counts: error => error === gone,
    onChange: open => changes.push(open),
    ...more
  })
  return { breaker, changes, clock }
}

async function failing(breaker: Breaker, ...callers: string[]): Promise<void> {
  for (const caller of callers) await breaker.run(fail, caller).catch(() => {})
}

t.test('one that does not answer three times is left alone, and whoever asks is told for how long', async t => {
  const { breaker, changes } = setUp()
  await failing(breaker, 'a', 'a')
  t.equal(await breaker.run(answer), 'an answer', 'a single lost connection is daily life')
  await failing(breaker, 'a', 'a', 'a')
  let asked = 0
  const refused = await Promise.allSettled(Array.from({ length: 50 }, () => breaker.run(async () => (asked += 1))))
  t.equal(asked, 0)
  for (const result of refused)
    t.match(result, { reason: { code: 'TENANT_DOWN', retryable: true, data: { retryAfterSeconds: 1 }, cause: gone } })
  t.strictSame(changes, [true], 'said once')
})

t.test('one caller alone does not close a server to the others', async t => {
  const { breaker, changes } = setUp({ callers: 2 })
  await failing(breaker, ...Array.from({ length: 20 }, () => 'a'))
  t.notOk(breaker.open)
  t.equal(await breaker.run(answer, 'b'), 'an answer')
  await failing(breaker, 'a', 'a', 'b')
  t.ok(breaker.open)
  t.strictSame(changes, [true])
})

t.test('what does not count leaves it closed', async t => {
  const { breaker } = setUp()
  for (let tried = 0; tried < 9; tried += 1)
    await t.rejects(
      breaker.run(() => Promise.reject(new Error('a syntax error'))),
      /a syntax error/
    )
  t.notOk(breaker.open)
})

t.test('after its pause one try goes through, alone, and what it finds holds for all', async t => {
  const { breaker, changes, clock } = setUp()
  await failing(breaker, 'a', 'a', 'a')
  clock.now += 600
  let tries = 0
  const probe = async () => {
    tries += 1
    await sleep(20)
    return 'an answer'
  }
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => breaker.run(probe)))
  t.equal(tries, 1)
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  t.notOk(breaker.open)
  t.strictSame(changes, [true, false])
  t.equal(await breaker.run(answer), 'an answer')
})

t.test('a try that fails makes the next pause longer, and says nothing new', async t => {
  const { breaker, changes, clock } = setUp()
  await failing(breaker, 'a', 'a', 'a')
  clock.now += 600
  await failing(breaker, 'a')
  clock.now += 600
  await t.rejects(breaker.run(answer), { code: 'TENANT_DOWN' }, 'still in its pause')
  clock.now += 600
  t.equal(await breaker.run(answer), 'an answer')
  t.strictSame(changes, [true, false])
})
