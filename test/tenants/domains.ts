import t from 'tap'
import { fromDomain } from '../../src/router.js'
import { addDomain, listDomains, removeDomain, verifyDomain } from '../../src/tenants/domains.js'
import { purgeTenant } from '../../src/tenants/purge.js'
import { becomes } from '../support/becomes.js'
import { controlPlane } from '../support/control-plane.js'
import { startDnsServer } from '../support/dns-server.js'
import { makeTenants, routedApp, routerConfig } from '../support/routed-app.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  const dns = await startDnsServer()
  t.teardown(() => dns.close())
  const { saasctl } = plane
  const resolving = { servers: [dns.address], timeoutMs: 300 }
  await makeTenants(plane, ['acme', 'globex', 'initech'])
  const config = await routerConfig(plane)
  const prove = async (slug: string, hostname: string) => {
    const { record } = await addDomain(saasctl, slug, hostname)
    dns.records.set(record.name, [...(dns.records.get(record.name) ?? []), [record.value]])
    return verifyDomain(saasctl, slug, hostname, resolving)
  }
  const application = (test: Pick<typeof t, 'teardown'>) =>
    routedApp(test, {
      config,
      router: { resolve: [fromDomain({ except: ['app.example'] })] },
      routes: app => {
        app.get('/who', request => request.tenant.slug)
      }
    })

  await t.test('a domain routes once its owner has proven it, and not before', async t => {
    const app = await application(t)
    const ask = async () => (await app.inject({ url: '/who', headers: { host: 'billing.acme.example' } })).statusCode
    const { record } = await addDomain(saasctl, 'acme', 'Billing.Acme.example.')
    t.match(record, { name: '_saasctl-challenge.billing.acme.example', type: 'TXT', value: /^saasctl-verify=\w{40}$/ })
    t.equal(await ask(), 404)
    await t.rejects(verifyDomain(saasctl, 'acme', 'billing.acme.example', resolving), {
      code: 'DOMAIN_UNPROVEN',
      message: /no TXT record/
    })
    dns.records.set(record.name, [['another record'], [record.value.slice(0, -1)]])
    await t.rejects(verifyDomain(saasctl, 'acme', 'billing.acme.example', resolving), {
      code: 'DOMAIN_UNPROVEN',
      message: /says something else/
    })
    t.equal(await ask(), 404, 'a wrong proof is none')
    const [head, tail] = [record.value.slice(0, 20), record.value.slice(20)]
    dns.records.set(record.name, [['v=spf1 -all'], [head, tail]])
    t.ok((await verifyDomain(saasctl, 'acme', 'billing.acme.example', resolving)).verifiedAt)
    t.ok(await becomes(async () => (await ask()) === 200), 'and the router hears of it')
    await removeDomain(saasctl, 'acme', 'billing.acme.example')
    t.ok(await becomes(async () => (await ask()) === 404), 'and of its end')
  })

  await t.test('who proves a domain first has it, whoever has said before that it is theirs', async t => {
    await addDomain(saasctl, 'globex', 'shop.example')
    await prove('acme', 'shop.example')
    dns.records.set('_saasctl-challenge.shop.example', [
      [(await listDomains(saasctl, 'globex'))[0]?.record.value ?? '']
    ])
    await t.rejects(verifyDomain(saasctl, 'globex', 'shop.example', resolving), { code: 'DOMAIN_TAKEN' })
    await removeDomain(saasctl, 'acme', 'shop.example')
    t.ok(
      (await verifyDomain(saasctl, 'globex', 'shop.example', resolving)).verifiedAt,
      'and another after it was removed'
    )
  })

  await t.test('a name server that does not answer proves nothing, and says so', async t => {
    const { record } = await addDomain(saasctl, 'acme', 'silent.example')
    dns.records.set(record.name, null)
    await t.rejects(verifyDomain(saasctl, 'acme', 'silent.example', resolving), {
      code: 'DOMAIN_UNPROVEN',
      message: /could not be looked up/,
      retryable: true
    })
  })

  await t.test('what is no domain is refused', async t => {
    for (const input of [
      '',
      'acme',
      '127.0.0.1',
      '[::1]',
      'a_b.example',
      'a b.example',
      'user@acme.example',
      'acme.example:80'
    ]) {
      await t.rejects(addDomain(saasctl, 'acme', input), { code: 'INVALID_INPUT' }, input)
    }
    for (const input of [
      'acme.example/x',
      '*.acme.example',
      '-a.example',
      'acme.example%00',
      `${'a'.repeat(64)}.example`
    ]) {
      await t.rejects(addDomain(saasctl, 'acme', input), { code: 'INVALID_INPUT' }, input)
    }
    t.equal((await addDomain(saasctl, 'acme', 'bücher.example')).hostname, 'xn--bcher-kva.example')
    await t.rejects(verifyDomain(saasctl, 'acme', 'not-added.example', resolving), { code: 'DOMAIN_NOT_FOUND' })
    await t.rejects(addDomain(saasctl, 'nobody', 'a.example'), { code: 'TENANT_NOT_FOUND' })
  })

  await t.test('each change is in the tenant’s audit trail, and a purged tenant leaves no domain behind', async t => {
    await prove('initech', 'initech.example')
    await purgeTenant(saasctl, 'initech', { wait: true })
    const rows = await saasctl.catalog.query(`select from saasctl.hostname where hostname = 'initech.example'`)
    t.equal(rows.length, 0)
    const events = await saasctl.catalog.query<{ action: string }>(
      `select action from saasctl.audit_event where action like 'tenant.domain.%' order by at`
    )
    t.ok(
      ['tenant.domain.add', 'tenant.domain.verify', 'tenant.domain.remove'].every(action =>
        events.some(event => event.action === action)
      )
    )
    await prove('acme', 'initech.example')
  })
}
