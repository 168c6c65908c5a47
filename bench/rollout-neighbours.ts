import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createCatalogLogin } from '../src/catalog/credentials.js'
import { rolloutById } from '../src/catalog/rollouts.js'
import { startRollout } from '../src/rollouts/control.js'
import { type PaceName, paces } from '../src/rollouts/pace.js'
import { plannedRollout } from '../test/support/rollout-fleet.js'
import { Samples } from './support/measure.js'
import { figure, ms, perSecond } from './support/report.js'
import { rolloutPlane } from './support/rollout-plane.js'
import { workerProcess } from './support/worker-process.js'

// Tenants that go about their business through a router in another process, while all others are migrated again and again by
// a worker in a third.
const tenants = Number(process.argv[2] ?? 100)
const seconds = Number(process.argv[3] ?? 8)
const asks = 100
const busy = 10

const plane = await rolloutPlane(tenants)
const { saasctl, slugs, template } = plane
const { url } = await createCatalogLogin(plane.adminUrl, 'router', { name: 'bench', proof: 'asserted' })
const routingKey = (await saasctl.keys.read('routing')).toString('base64')
const child = spawn(process.execPath, [fileURLToPath(new URL('support/neighbour-app.js', import.meta.url))], {
  env: {
    PATH: process.env['PATH'],
    SAASCTL_CATALOG_URL: url,
    SAASCTL_ROUTING_KEY: routingKey,
    SAASCTL_HOME: '/nowhere'
  },
  stdio: ['ignore', 'pipe', 'inherit']
})
const [said] = (await once(child.stdout, 'data')) as [Buffer]
const port = Number(String(said))
const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const asking = slugs.slice(0, busy)
const worker = await workerProcess(plane.env)

function ask(slug: string): Promise<number> {
  return new Promise(resolve => {
    const options = { port, path: '/note', agent, host: '127.0.0.1', headers: { host: `${slug}.app.example` } }
    const asked = request(options, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
    })
    asked.on('error', () => resolve(0)).end()
  })
}

interface Seen {
  times: number[]
  errors: number
}

/** What those who ask see until `beside` ends. */
async function measure(beside: Promise<unknown>, { times, errors }: Seen = { times: [], errors: 0 }): Promise<Seen> {
  let over = false
  const ends = beside.finally(() => (over = true))
  const asked: Array<Promise<void>> = []
  for (let at = performance.now(); !over; at += 1_000 / asks) {
    await sleep(Math.max(0, at - performance.now()))
    const from = performance.now()
    const slug = asking[Math.floor(Math.random() * busy)] ?? ''
    asked.push(
      ask(slug).then(status => {
        times.push(performance.now() - from)
        if (status !== 200) errors += 1
      })
    )
  }
  await Promise.all(asked)
  await ends
  return { times, errors }
}

interface Paced extends Seen {
  took: number
  rollouts: number
}

/** Rollouts to all but those who ask, in both paces by turns; nobody asks while one is planned, in this process. */
async function measureRollouts(): Promise<Record<PaceName, Paced>> {
  const none = () => ({ times: [], errors: 0, took: 0, rollouts: 0 })
  const seen: Record<PaceName, Paced> = { calm: none(), full: none() }
  const planned = async (pace: PaceName) => {
    await template.grow()
    return plannedRollout(saasctl, { pace }, { selector: { except: asking }, wholeFleet: false })
  }
  // The worker's first one loads and compiles what all need.
  await rollOut(await planned('full'))
  while (seen.calm.took < seconds * 1_000) {
    for (const pace of paces) {
      const id = await planned(pace)
      const begun = performance.now()
      const now = await measure(rollOut(id), seen[pace])
      seen[pace] = {
        ...now,
        took: seen[pace].took + performance.now() - begun,
        rollouts: seen[pace].rollouts + 1
      }
    }
  }
  return seen
}

/** By the worker; followed with as few questions as can be, for they are asked on the stopwatch's own processor. */
async function rollOut(id: string): Promise<void> {
  await startRollout(saasctl, id)
  for (;;) {
    await sleep(50)
    const rollout = await rolloutById(saasctl.catalog, id)
    if (rollout?.status === 'succeeded') return
    if (rollout?.status !== 'running') throw new Error(`It ended as ${rollout?.status}: ${rollout?.reason}`)
  }
}

try {
  for (const slug of asking) await ask(slug)
  await measure(sleep(seconds * 1_000))
  const before = await measure(sleep(seconds * 1_000))
  const { calm, full } = await measureRollouts()
  const after = await measure(sleep(seconds * 1_000))
  const p99 = ({ times }: Seen) => new Samples(times).p99
  const quiet = (p99(before) + p99(after)) / 2
  const others = tenants - busy
  const rate = ({ rollouts, took }: Paced) => perSecond((rollouts * others) / (took / 1_000))
  figure({
    what: `p99 of ${busy} tenants while a worker migrates ${others} others, ${rate(calm)}`,
    measured: ms(p99(calm)),
    against: `quiet ${ms(quiet)}`,
    ratio: p99(calm) / quiet,
    target: { atMost: 1.5 }
  })
  figure({
    what: `the same at full pace, ${rate(full)}`,
    measured: ms(p99(full)),
    against: `quiet ${ms(quiet)}`,
    ratio: p99(full) / quiet
  })
  const errors = calm.errors + full.errors
  figure({ what: 'their errors', measured: String(errors), against: 'none', ratio: errors, target: { atMost: 0 } })
} finally {
  agent.destroy()
  child.kill('SIGTERM')
  await once(child, 'exit')
  await worker.stop()
  await plane.close()
}
