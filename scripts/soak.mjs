// Breaks it in every way that the test suite knows, as often as there is time for, on every PostgreSQL of this machine:
// a kill at every moment of every step of every kind of operation, every message to a server lost once, and kills at
// random moments, of MariaDB too where it is. `rollouts` rolls migrations out with workers that are killed all the while.
// `large`, which is not among the usual ones, exports one table of `--gigabytes` that nothing compresses (2 of them free in
// memory for each), and has other programs unpack it.
// `npm run soak -- --kills 1000 --seed 7 --only points,messages,random,rollouts,mysql`.
import { parseArgs } from 'node:util'

const usual = ['points', 'messages', 'random', 'rollouts', 'mysql']
const parts = [...usual, 'large']
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', default: usual.join(',') },
    gigabytes: { type: 'string', default: '4.4' }
  }
})
const kills = Number(values.kills)
const seed = Number(values.seed)
const gigabytes = Number(values.gigabytes)
const only = values.only.split(',')
if (![kills, seed].every(Number.isInteger) || !(gigabytes > 0) || !only.every(part => parts.includes(part))) {
  console.error(`--kills and --seed are whole numbers, --only is some of ${parts.join(',')}, --gigabytes a number.`)
  process.exit(2)
}

const support = name => import(new URL(`../dist/test/support/${name}.js`, import.meta.url).href)
const [
  { postgresBinaries },
  { killPoints },
  { mysqlBinaries },
  { killAndRecover, killStage, mysqlKillStage },
  { randomFrom, randomKill },
  lose,
  { fillFleet, rolloutWithKills },
  { twoServers },
  { kinds }
] = await Promise.all([
  support('servers'),
  support('kill-points'),
  support('mariadb-server'),
  support('kill-and-recover'),
  support('random-kill'),
  support('lose-each'),
  support('rollout-kills'),
  support('two-servers'),
  import(new URL('../dist/src/kinds.js', import.meta.url).href)
])

const troubles = []
const counts = new Map()

/** One line for each thing that was broken; what was wrong afterwards is told at once and again at the end. */
function told(what, found) {
  counts.set(what, (counts.get(what) ?? 0) + 1)
  troubles.push(...found.map(finding => `${what}: ${finding}`))
  for (const finding of found) console.error(`  NOT WHOLE: ${finding}`)
}

async function points(binaries, title) {
  const stage = await killStage(binaries)
  try {
    for (const name of kinds.names) {
      const all = await killPoints(name)
      console.log(`${title}: ${name} is killed at ${all.length} points`)
      for (const [index, point] of all.entries()) {
        const successor = index % 2 ? 'worker' : 'next process'
        const { killed, status, findings } = await killAndRecover(stage, point, successor)
        const wrong =
          killed && status === point.ends ? [] : [`killed: ${killed}, it ended as ${status}, not ${point.ends}`]
        told(`${title}: kills at ${point.failpoint}`, [...wrong, ...findings])
      }
    }
  } finally {
    await stage.close()
  }
}

async function messages(binaries, title) {
  const road = await lose.badRoad({ binaries })
  try {
    for (const lost of ['question', 'answer']) {
      for (const [name, journey] of Object.entries(lose.journeys)) {
        const { lost: count, troubles: found } = await lose.loseEach(road, lost, journey)
        console.log(`${title}: "${name}" lost each of its ${count} messages' ${lost}`)
        told(`${title}: ${name}, each ${lost} lost`, found)
      }
    }
  } finally {
    await road.close()
  }
}

async function randomly(stageOf, title) {
  console.log(`${title}: ${kills} kills at random, seed ${seed}`)
  const random = randomFrom(seed)
  // A new stage now and then keeps the look at the whole fleet a short one.
  for (let done = 0; done < kills; ) {
    const stage = await stageOf()
    try {
      for (let here = 0; here < 100 && done < kills; here += 1, done += 1) {
        const { story, hit, findings } = await randomKill(stage, random)
        console.log(`${title}: ${done + 1}. ${story}${hit ? '' : ' (it had ended before)'}`)
        told(`${title}: random kills${hit ? '' : ' that came too late'}`, findings)
      }
    } finally {
      await stage.close()
    }
  }
}

async function rollouts(binaries, title) {
  const random = randomFrom(seed)
  const stage = await twoServers({ binaries })
  try {
    await fillFleet(stage, 20)
    for (let made = 0, round = 1; made < kills; round += 1) {
      const found = await rolloutWithKills(stage, random, { workers: 3, longestMs: 700 })
      made += found.kills
      console.log(`${title}: rollout ${round} with ${found.kills} kills, seed ${seed}`)
      told(`${title}: rollouts with workers killed`, found.findings)
    }
  } finally {
    await stage.close()
  }
}

const began = Date.now()
for (const binaries of await postgresBinaries()) {
  const title = `PostgreSQL ${binaries.version}`
  if (only.includes('points')) await points(binaries, title)
  if (only.includes('messages')) await messages(binaries, title)
  if (only.includes('random')) await randomly(() => killStage(binaries), title)
  if (only.includes('rollouts')) await rollouts(binaries, title)
}
if (only.includes('mysql')) {
  const [found] = await mysqlBinaries()
  if (found) await randomly(mysqlKillStage, `MariaDB ${found.version}`)
  else console.error('NO MARIADB HERE: nothing was killed on one.')
}

if (only.includes('large')) {
  const { largeExport } = await support('large-export')
  told('large exports', await largeExport({ gigabytes, containers: ['folder', 'zip', 'tar.gz'], say: console.log }))
}

const sum = pattern => [...counts].filter(([what]) => pattern.test(what)).reduce((total, [, count]) => total + count, 0)
console.log(`
${Math.round((Date.now() - began) / 1000)} s, seed ${seed}: ${sum(/: kills at/)} kills at steps, ${sum(/rollouts with/)} rollouts with workers killed, ${sum(/lost$/)} journeys with each message lost,
${sum(/random kills$/)} random kills and ${sum(/too late$/)} that came too late. ${troubles.length} things were not whole afterwards.`)
for (const trouble of troubles) console.error(trouble)
process.exitCode = troubles.length > 0 || counts.size === 0 ? 1 : 0
