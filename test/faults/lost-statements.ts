import t, { type Test } from 'tap'
import type { SaasctlError } from '../../src/errors.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { type Lost, proxyTo, type TcpProxy } from '../support/proxy.js'
import { newSlug } from '../support/scenes.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { twoServers } from '../support/two-servers.js'
import { doVerb, type VerbName } from '../support/verbs.js'

if (await skipWithoutPostgres(t)) process.exit()
const proxies: TcpProxy[] = []
const { plane, tenants, template, close } = await twoServers({
  port: async server => {
    proxies.push(await proxyTo(server))
    return proxies[0]?.port ?? 0
  }
})
t.teardown(close)
const [proxy] = proxies
if (!proxy) throw new Error('There is no proxy.')
t.teardown(() => proxy.close())
const { saasctl } = plane
const audit = () => fleetAudit(plane, { servers: [tenants] })

/**
 * Does it again and again, and each time the connection to the tenants' server is lost one message later, until there is
 * no later one: between any two statements, in the middle of logging in, wherever.
 */
async function loseEach(test: Test, lost: Lost, verb: VerbName, argument: () => Promise<object>): Promise<void> {
  let skip = 0
  for (let sprung = true; sprung; skip += 1) {
    const given = (await argument()) as Parameters<typeof doVerb>[2]
    const trap = proxy?.lose(lost, '', skip)
    let outcome = await attempt(verb, given)
    proxy?.calm()
    sprung = trap?.sprung ?? false
    await settle(saasctl)
    // Lost before anything was promised: it says so, and the next try is the first.
    if (outcome.startsWith('SERVER_UNREACHABLE') && sprung) outcome = await attempt(verb, given)
    const findings = await audit()
    if (outcome !== 'done' || findings.length > 0) test.strictSame([outcome, findings], ['done', []], `message ${skip}`)
  }
  test.ok(skip > 2, `${skip - 1} messages were lost, one at a time, and each time it was done all the same`)
}

function attempt(verb: VerbName, argument: Parameters<typeof doVerb>[2]): Promise<string> {
  return doVerb(saasctl, verb, argument).then(
    () => 'done',
    (error: SaasctlError) => `${error.code}: ${error.message}`
  )
}

for (const lost of ['question', 'answer'] as const) {
  t.test(`a template is built whole although any one ${lost} is lost on the way`, t =>
    loseEach(t, lost, 'build', async () => ({ again: true }))
  )

  t.test(`a tenant is made whole although any one ${lost} is lost on the way`, async t => {
    const slugs: string[] = []
    await loseEach(t, lost, 'create', async () => {
      // One at a time, so that the look at the whole fleet stays a short one.
      for (const slug of slugs.splice(0)) await doVerb(saasctl, 'purge', { slug })
      slugs.push(newSlug())
      return { slug: slugs.at(-1) }
    })
  })

  t.test(`a tenant is purged whole although any one ${lost} is lost on the way`, t =>
    loseEach(t, lost, 'purge', async () => {
      const slug = newSlug()
      await doVerb(saasctl, 'create', { slug })
      return { slug }
    })
  )
}

t.test('a tenant is migrated once although any one answer is lost on the way', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  await loseEach(t, 'answer', 'migrate', async () => {
    await template.grow()
    return { slug }
  })
})
