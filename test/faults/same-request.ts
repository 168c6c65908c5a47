import t from 'tap'
import { listOperations } from '../../src/catalog/operations.js'
import type { SaasctlError } from '../../src/errors.js'
import type { Saasctl } from '../../src/saasctl.js'
import { createTenant } from '../../src/tenants/create.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { killStage } from '../support/kill-and-recover.js'
import { proxyTo, through } from '../support/proxy.js'
import { newSlug } from '../support/scenes.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { doVerb } from '../support/verbs.js'

if (await skipWithoutPostgres(t)) process.exit()
const { plane, saasctl, close } = await killStage()
t.teardown(close)
const proxy = await proxyTo(plane.server)
t.teardown(() => proxy.close())
/** Another program, between which and the catalog there is a bad network. */
const distant = await plane.another({ SAASCTL_CATALOG_URL: through(proxy, plane.env['SAASCTL_CATALOG_URL'] ?? '') })
await doVerb(saasctl, 'build', {})

const create = (by: Saasctl, slug: string, idempotencyKey?: string, plan?: string) =>
  createTenant(by, { slug, idempotencyKey, plan }, { template: 'tiny' }, { wait: true })
const tenants = (slug: string) =>
  saasctl.catalog.query<{ id: string; status: string }>('select id, status from saasctl.tenant where slug = $1', [slug])
const fifty = Array.from({ length: 50 })

t.test('fifty identical requests with one key, at once in two programs, are one tenant and one operation', async t => {
  const slug = newSlug()
  const other = await plane.another()
  const answers = await Promise.all(fifty.map((_, index) => create(index % 2 ? other : saasctl, slug, `key-${slug}`)))
  t.equal(new Set(answers.map(({ operation }) => operation.id)).size, 1)
  t.strictSame(new Set(answers.map(({ tenant }) => `${tenant.id} ${tenant.status}`)).size, 1)
  t.match(await tenants(slug), [{ status: 'active' }])
  t.equal((await tenants(slug)).length, 1)
  t.strictSame(await fleetAudit(plane), [])
})

t.test(
  'fifty requests for one slug without a key are one tenant and forty-nine refusals, and nothing else',
  async t => {
    const slug = newSlug()
    const before = (await listOperations(saasctl.catalog, { limit: 1000 })).length
    const answers = await Promise.allSettled(fifty.map(() => create(saasctl, slug)))
    const refused = answers.flatMap(answer =>
      answer.status === 'rejected' ? [(answer.reason as SaasctlError).code] : []
    )
    t.strictSame(refused, Array.from({ length: 49 }).fill('TENANT_EXISTS'))
    t.equal((await tenants(slug)).length, 1)
    t.equal((await listOperations(saasctl.catalog, { limit: 1000 })).length, before + 1)
    t.strictSame(await fleetAudit(plane), [])
  }
)

t.test('fifty requests with one key while one warm database is ready take it once', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'build', { warm: 1 })
  const answers = await Promise.all(fifty.map(() => create(saasctl, slug, `key-${slug}`)))
  t.equal(new Set(answers.map(({ operation }) => operation.id)).size, 1)
  t.equal((await tenants(slug)).length, 1)
  t.strictSame(await fleetAudit(plane), [])
})

t.test('one key for two different requests is refused, and the second leaves nothing', async t => {
  const slug = newSlug()
  await create(saasctl, slug, `key-${slug}`)
  for (const [other, plan] of [
    [newSlug(), undefined],
    [slug, 'large']
  ] as const) {
    await t.rejects(create(saasctl, other, `key-${slug}`, plan), { code: 'IDEMPOTENCY_MISMATCH' })
  }
  t.equal((await tenants(slug)).length, 1)
  t.strictSame(await fleetAudit(plane), [])
})

t.test('a request whose creation failed gets the same answer again, however often it is sent', async t => {
  const slug = newSlug()
  const failing = await plane.another({ SAASCTL_FAILPOINT: 'tenant.create/open and look:acted=fail' })
  const answers = []
  for (const by of [failing, saasctl, saasctl])
    answers.push(await create(by, slug, `key-${slug}`).catch(error => error))
  const [first] = answers
  t.match(first, { code: 'FAILED' })
  for (const answer of answers)
    t.match(answer, { code: first.code, message: first.message, operationId: first.operationId })
  t.match(await tenants(slug), [{ status: 'failed' }])
  t.strictSame(await fleetAudit(plane), [])
})

for (const [title, warm] of [
  ['a creation', 0],
  ['a creation from a warm database', 1]
] as const) {
  for (const lost of ['answer', 'question'] as const) {
    t.test(`${title} that lost the ${lost} of any of its commits is one tenant when it is asked for again`, async t => {
      // As many as there are: the last round loses none.
      for (let sprung = true, skip = 0; sprung; skip += 1) {
        const slug = newSlug()
        await doVerb(saasctl, 'build', { warm })
        const trap = proxy.lose(lost, 'commit\0', skip)
        const first = await create(distant, slug, `key-${slug}`).catch((error: SaasctlError) => error)
        sprung = trap.sprung
        t.comment(
          `commit ${skip + 1}: ${first instanceof Error ? `${first.code}: ${first.message}` : 'answered at once'}`
        )
        if (!sprung) t.ok(skip > 0, `${skip} commits were lost, one at a time`)
        const second = await create(saasctl, slug, `key-${slug}`)
        t.equal(second.tenant.status, 'active')
        t.equal((await tenants(slug)).length, 1)
        const again = await create(distant, slug, `key-${slug}`)
        t.strictSame([again.tenant.id, again.operation.id], [second.tenant.id, second.operation.id])
        await settle(saasctl)
        t.strictSame(await fleetAudit(plane), [])
      }
    })
  }
}

t.test('a change whose commit lost its answer says that it may be there, when nothing tells the two apart', async t => {
  const slug = newSlug()
  proxy.lose('answer', 'commit\0')
  await t.rejects(create(distant, slug), {
    code: 'CATALOG_UNREACHABLE',
    message: /may be there or not/,
    retryable: false
  })
  await settle(saasctl)
  t.match(await tenants(slug), [{ status: 'active' }], 'here it was')
  await t.rejects(create(distant, slug), { code: 'TENANT_EXISTS' })
  t.strictSame(await fleetAudit(plane), [])
})
