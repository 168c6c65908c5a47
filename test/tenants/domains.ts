import t from 'tap'
import { fromDomain } from '../../src/router.js'
import { deleteTenant } from '../../src/tenants/delete.js'
import { addDomain, listDomains, removeDomain, verifyDomain } from '../../src/tenants/domains.js'
import { purgeTenant } from '../../src/tenants/purge.js'
import { renameTenant } from '../../src/tenants/rename.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { undeleteTenant } from '../../src/tenants/undelete.js'
import { becomes } from '../support/becomes.js'
import { controlPlane } from '../support/control-plane.js'
import { SERVFAIL, startDnsServer } from '../support/dns-server.js'
import { makeTenants, routedApp, routerConfig } from '../support/routed-app.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  const dns = await startDnsServer()
  t.teardown(() => dns.close())
  const { saasctl } = plane
  const resolving = { servers: [dns.address], timeoutMs: 5_000 }
  await makeTenants(plane, ['acme', 'globex', 'initech'])
  const config = await routerConfig(plane)
  const publish = async (slug: string, hostname: string) => {
    const { record } = await addDomain(saasctl, slug, hostname)
    const before = dns.records.get(record.name)
    dns.records.set(record.name, [...(Array.isArray(before) ? before : []), [record.value]])
    return record
  }
  const prove = async (slug: string, hostname: string) => {
    await publish(slug, hostname)
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

  await t.test('of two that prove it in the same moment, one has it', async t => {
    await publish('acme', 'race.example')
    await publish('globex', 'race.example')
    const ended = await Promise.allSettled(
      ['acme', 'globex'].map(slug => verifyDomain(saasctl, slug, 'race.example', resolving))
    )
    t.equal(ended.filter(({ status }) => status === 'fulfilled').length, 1)
    t.match(
      ended.find(({ status }) => status === 'rejected'),
      { reason: { code: 'DOMAIN_TAKEN' } }
    )
    const app = await application(t)
    const winner = ended[0]?.status === 'fulfilled' ? 'acme' : 'globex'
    t.equal((await app.inject({ url: '/who', headers: { host: 'race.example' } })).body, winner)
  })

  await t.test('name servers that do not answer, or fail, prove nothing, and it can be tried again', async t => {
    const { record } = await addDomain(saasctl, 'acme', 'silent.example')
    const verified = (how = resolving) => verifyDomain(saasctl, 'acme', 'silent.example', how)
    const could = (said: RegExp) => ({ code: 'DOMAIN_UNPROVEN', message: said, retryable: true })
    dns.records.set(record.name, null)
    const inHaste = { ...resolving, timeoutMs: 300 }
    await t.rejects(verified(inHaste), could(/could not be looked up: the name servers did not answer in time/))
    dns.records.set(record.name, SERVFAIL)
    await t.rejects(verified(), could(/could not be looked up: the name servers answered SERVFAIL/))
    dns.records.set(record.name, [])
    await t.rejects(verified(), { code: 'DOMAIN_UNPROVEN', message: /there is no TXT record/, retryable: false })
    t.match(
      (await listDomains(saasctl, 'acme')).find(({ hostname }) => hostname === 'silent.example'),
      { verifiedAt: null }
    )
    const others = Array.from({ length: 40 }, (_, index) => [`another=${index}`, 'x'.repeat(255)])
    dns.records.set(record.name, [...others, [record.value], ...others])
    t.ok((await verified()).verifiedAt, 'the record is found among many, in an answer that no datagram holds')
  })

  await t.test('a proof that is gone cuts nobody off, and looking again tells of it', async t => {
    const { record } = await prove('acme', 'tidy.example')
    t.ok((await verifyDomain(saasctl, 'acme', 'tidy.example', resolving)).verifiedAt, 'again is fine')
    t.strictSame(await addDomain(saasctl, 'acme', 'tidy.example').then(({ record }) => record), record)
    dns.records.delete(record.name)
    await t.rejects(verifyDomain(saasctl, 'acme', 'tidy.example', resolving), {
      code: 'DOMAIN_UNPROVEN',
      message: /tidy\.example routes, but its proof is gone: there is no TXT record/
    })
    const app = await application(t)
    t.equal((await app.inject({ url: '/who', headers: { host: 'tidy.example' } })).body, 'acme')
    await removeDomain(saasctl, 'acme', 'tidy.example')
    const anew = await addDomain(saasctl, 'acme', 'tidy.example')
    t.not(anew.record.value, record.value, 'an old record proves nothing anew')
  })

  await t.test('a domain follows its tenant: renamed, suspended, deleted and back', async t => {
    await prove('initech', 'follows.example')
    const app = await application(t)
    const ask = async (host = 'follows.example') => {
      const { statusCode, body } = await app.inject({ url: '/who', headers: { host } })
      return statusCode === 200 ? body : statusCode
    }
    for (const host of ['follows.example', 'FOLLOWS.example', 'follows.example.', 'follows.example:8443'])
      t.equal(await ask(host), 'initech', host)
    t.equal(await ask('deeper.follows.example'), 404)
    await renameTenant(saasctl, 'initech', 'initrode')
    t.ok(await becomes(async () => (await ask()) === 'initrode'))
    await suspendTenant(saasctl, 'initrode', { wait: true })
    t.ok(await becomes(async () => (await ask()) === 404))
    await resumeTenant(saasctl, 'initrode', { wait: true })
    t.ok(await becomes(async () => (await ask()) === 'initrode'))
    await deleteTenant(saasctl, 'initrode', { wait: true })
    t.ok(await becomes(async () => (await ask()) === 404))
    await t.rejects(addDomain(saasctl, 'initrode', 'late.example'), { code: 'TENANT_STATE' })
    await undeleteTenant(saasctl, 'initrode', { wait: true })
    t.ok(await becomes(async () => (await ask()) === 'initrode'))
    await renameTenant(saasctl, 'initrode', 'initech')
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
      `${'a'.repeat(64)}.example`,
      ' acme.example',
      'acme.example\n',
      'acme..example',
      'acme.example..',
      'acme.123',
      'acme.0x7f',
      '2130706433',
      'acme\u0000.example',
      'xn--a.example',
      `${'a.'.repeat(115)}example`
    ]) {
      await t.rejects(addDomain(saasctl, 'acme', input), { code: 'INVALID_INPUT' }, input)
    }
    t.equal((await addDomain(saasctl, 'acme', 'bücher.example')).hostname, 'xn--bcher-kva.example')
    t.equal(
      (await addDomain(saasctl, 'acme', 'BÜCHER．example')).hostname,
      'xn--bcher-kva.example',
      'the same, in wide'
    )
    const longest = `${'a.'.repeat(112)}abcdefghij`
    const { record } = await addDomain(saasctl, 'acme', longest)
    t.equal(record.name.length, 253, 'the longest whose record has a name that the DNS takes')
    await t.rejects(addDomain(saasctl, 'acme', `${longest}k`), { code: 'INVALID_INPUT' })
    await t.rejects(verifyDomain(saasctl, 'acme', 'not-added.example', resolving), { code: 'DOMAIN_NOT_FOUND' })
    await t.rejects(addDomain(saasctl, 'nobody', 'a.example'), { code: 'TENANT_NOT_FOUND' })
  })

  await t.test('each change is in the tenant’s audit trail, and a purged tenant leaves no domain behind', async t => {
    await prove('initech', 'initech.example')
    await purgeTenant(saasctl, 'initech', { wait: true })
    const rows = await saasctl.catalog.query(`select from saasctl.hostname where hostname = 'initech.example'`)
    t.equal(rows.length, 0)
    const events = await plane.catalogAsSuperuser(client =>
      client.query<{ action: string; payload: string }>(
        `select action, payload from saasctl.audit_event join saasctl.audit_payload using (chain, seq) order by at`
      )
    )
    const told = (action: string, domain: string) =>
      events.rows.filter(event => event.action === action && event.payload.includes(domain)).length
    t.equal(told('tenant.domain.add', 'tidy.example'), 2, 'what changes nothing is not written down')
    t.equal(told('tenant.domain.verify', 'tidy.example'), 1)
    t.equal(told('tenant.domain.remove', 'tidy.example'), 1)
    t.equal(told('tenant.purged', 'initech.example'), 1, 'which domains were free from then on')
    t.notMatch(JSON.stringify(events.rows), /saasctl-verify|"proof"/)
    await prove('acme', 'initech.example')
  })
}
