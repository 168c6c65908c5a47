import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createCatalogLogin } from '../src/catalog/credentials.js'
import { startRollout } from '../src/rollouts/control.js'
import { followRollout } from '../src/rollouts/follow.js'
import { plannedRollout } from '../test/support/rollout-fleet.js'
import { Samples } from './support/measure.js'
import { figure, ms, note } from './support/report.js'
import { rolloutPlane } from './support/rollout-plane.js'

// Tenants that go about their business through a router in another process, while all others are migrated again and again.
const tenants = Number(process.argv[2] ?? 100)
const seconds = Number(process.argv[3] ?? 8)
const perSecond = 100
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

function ask(slug: string): Promise<number> {
  return new Promise(resolve => {
    const options = { port, path: '/note', agent, host: '127.0.0.1', headers: { host: `${slug}.app.example` } }
    const asked = request(options, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
    })
    asked.on('error', () => resolve(0)).end()
  })
}

/** What those who ask see while `beside` goes on. */
async function measure(beside: (until: number) => Promise<unknown>): Promise<{ p99: number; errors: number }> {
  const until = performance.now() + seconds * 1_000
  const working = beside(until)
  const times: number[] = []
  let errors = 0
  const asked: Array<Promise<void>> = []
  for (let at = performance.now(); at < until; at += 1_000 / perSecond) {
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
  await working
  return { p99: new Samples(times).p99, errors }
}

/** Of all but those who ask; one after the other until it is time. */
async function rollOut(until: number): Promise<void> {
  let rollouts = 0
  while (performance.now() < until) {
    await template.grow()
    const id = await plannedRollout(saasctl, {}, { selector: { except: asking }, wholeFleet: false })
    await startRollout(saasctl, id)
    const { rollout } = await followRollout(saasctl, id, {})
    if (rollout.status !== 'succeeded') throw new Error(`It ended as ${rollout.status}: ${rollout.reason}`)
    rollouts += 1
  }
  note(`${rollouts} rollouts of ${slugs.length - busy} tenants meanwhile`)
}

try {
  for (const slug of asking) await ask(slug)
  await measure(async () => {})
  const before = await measure(async () => {})
  const during = await measure(rollOut)
  const after = await measure(async () => {})
  const quiet = (before.p99 + after.p99) / 2
  figure({
    what: `p99 of ${busy} tenants while ${tenants - busy} others are migrated`,
    measured: ms(during.p99),
    against: `quiet ${ms(quiet)}`,
    ratio: during.p99 / quiet,
    target: { atMost: 1.5 }
  })
  const errors = during.errors
  figure({ what: 'their errors', measured: String(errors), against: 'none', ratio: errors, target: { atMost: 0 } })
} finally {
  agent.destroy()
  child.kill('SIGTERM')
  await once(child, 'exit')
  await plane.close()
}
