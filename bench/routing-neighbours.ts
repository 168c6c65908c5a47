import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { suspendTenant } from '../src/tenants/suspend.js'
import { asSuperuser } from '../test/support/servers.js'
import { Samples } from './support/measure.js'
import { figure, ms } from './support/report.js'
import { routedPlane } from './support/routed-plane.js'

// Ninety-nine tenants that go about their business while the hundredth floods the application, hangs in its database, or has
// no database to speak of. Requests come at a fixed rate, whatever the answers do.
const tenants = Number(process.argv[2] ?? 100)
const perSecond = 200
const seconds = 8

const plane = await routedPlane(tenants)
const [bad = '', ...healthy] = plane.slugs
const child = spawn(process.execPath, [fileURLToPath(new URL('support/neighbour-app.js', import.meta.url))], {
  env: { PATH: process.env['PATH'], ...plane.routerEnv },
  stdio: ['ignore', 'pipe', 'inherit']
})
const [said] = (await once(child.stdout, 'data')) as [Buffer]
const port = Number(String(said))
const agent = new Agent({ keepAlive: true, maxSockets: 256 })

/** The status; 0 when there was no answer. */
function ask(slug: string, path: string): Promise<number> {
  return new Promise(resolve => {
    const asked = request(
      { port, path, agent, host: '127.0.0.1', headers: { host: `${slug}.app.example` } },
      answer => {
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
      }
    )
    asked.on('error', () => resolve(0)).end()
  })
}

/** What the healthy see while `trouble` lasts. */
async function measure(trouble: (until: number) => Promise<unknown>): Promise<{ p99: number; errors: number }> {
  const until = performance.now() + seconds * 1_000
  const troubled = trouble(until)
  const times: number[] = []
  let errors = 0
  const asked: Array<Promise<void>> = []
  for (let at = performance.now(); at < until; at += 1_000 / perSecond) {
    await sleep(Math.max(0, at - performance.now()))
    const slug = healthy[Math.floor(Math.random() * healthy.length)] ?? ''
    const from = performance.now()
    asked.push(
      ask(slug, '/note').then(status => {
        times.push(performance.now() - from)
        if (status !== 200) errors += 1
      })
    )
  }
  await Promise.all(asked)
  await troubled
  return { p99: new Samples(times).p99, errors }
}

/** So many requests a second of the bad one, answered or not. */
const flood = (path: string, rate: number) => async (until: number) => {
  const asked: Array<Promise<number>> = []
  for (let at = performance.now(); at < until; at += 1_000 / rate) {
    await sleep(Math.max(0, at - performance.now()))
    asked.push(ask(bad, path))
  }
  await Promise.all(asked)
}

try {
  for (const slug of healthy) await ask(slug, '/note')
  await measure(async () => {})
  const before = await measure(async () => {})
  const flooded = await measure(flood('/note', 400))
  const hung = await measure(flood('/hang', 50))
  await suspendTenant(plane.saasctl, bad, { wait: true })
  await asSuperuser(
    plane.server,
    client => client.query(`update saasctl.tenant set status = 'active' where slug = '${bad}'`),
    'saasctl'
  )
  const down = await measure(flood('/note', 200))
  const after = await measure(async () => {})
  const base = (before.p99 + after.p99) / 2
  for (const [what, seen] of Object.entries({ floods: flooded, hangs: hung, 'is down': down })) {
    figure({
      what: `p99 of ${healthy.length} healthy tenants while one ${what}`,
      measured: ms(seen.p99),
      against: `quiet ${ms(base)}`,
      ratio: seen.p99 / base,
      target: { atMost: 1.2 }
    })
    figure({
      what: 'their errors',
      measured: String(seen.errors),
      against: 'none',
      ratio: seen.errors,
      target: { atMost: 0 }
    })
  }
} finally {
  agent.destroy()
  child.kill('SIGTERM')
  await once(child, 'exit')
  await plane.close()
}
