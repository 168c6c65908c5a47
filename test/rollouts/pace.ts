import t from 'tap'
import { Pace, type PaceName } from '../../src/rollouts/pace.js'

/** A lane on a server whose logins take what is said; its clock stands still unless it is moved. */
function paceOf(most: number, name?: PaceName) {
  const clock = { ms: 0 }
  const pace = new Pace(most, name, () => clock.ms)
  const look = (ms: number) => {
    for (let login = 0; login < 8; login += 1) pace.loggedIn(ms)
    return pace.width
  }
  return { pace, clock, look }
}

t.test('a lane begins with one database, and works more at once as long as the server stays as quick', async t => {
  const { pace, look } = paceOf(4)
  t.equal(pace.width, 1)
  t.strictSame([6, 6, 7, 6, 6].map(look), [2, 3, 4, 4, 4], 'and never more than it may')
})

t.test('while the server answers slower it works fewer, in proportion, and more again when that is over', async t => {
  const { look } = paceOf(8)
  t.strictSame([5, 5, 5, 5, 5, 5, 5].map(look), [2, 3, 4, 5, 6, 7, 8])
  t.strictSame([10, 10, 40].map(look), [5, 3, 1], 'but always one')
  t.equal(look(7), 1, 'a little slower changes nothing')
  t.strictSame([5, 6].map(look), [2, 3])
})

t.test('one login that took long is no reason, and the quietest look is what all others are held against', async t => {
  const { pace, look } = paceOf(4)
  look(20)
  look(20)
  t.equal(pace.width, 3, 'a server that was busy from the start')
  t.equal(look(8), 4)
  t.equal(look(20), 2, 'is known to be quicker once it was')
  for (const ms of [8, 8, 8, 500, 8, 8, 900, 8]) pace.loggedIn(ms)
  t.equal(pace.width, 3)
})

t.test('where migrations take long, a second of looking is enough', async t => {
  const { pace, clock } = paceOf(4)
  pace.loggedIn(6)
  clock.ms = 999
  pace.lookIfDue()
  t.equal(pace.width, 1)
  clock.ms = 1_000
  pace.lookIfDue()
  t.equal(pace.width, 4, 'logins so rare are not what weighs on the server')
  pace.loggedIn(60)
  clock.ms = 2_000
  pace.lookIfDue()
  t.equal(pace.width, 1, 'but they tell when something does')
  clock.ms = 9_000
  pace.lookIfDue()
  t.equal(pace.width, 1, 'and without a login nothing is known')
})

t.test('few logins because each takes long are no reason to begin more', async t => {
  const { pace, clock } = paceOf(4)
  for (const second of [1, 2, 3]) {
    pace.loggedIn(400)
    pace.loggedIn(500)
    clock.ms = second * 1_000
    pace.lookIfDue()
    t.equal(pace.width, second + 1, 'one more at a time')
  }
})

t.test('at full pace it looks at nothing', async t => {
  const { pace, look } = paceOf(4, 'full')
  t.strictSame([pace.width, ...[5, 50, 500].map(look)], [4, 4, 4, 4])
})
