import t from 'tap'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { startDnsServer } from '../support/dns-server.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const dns = await startDnsServer()
  t.teardown(() => dns.close())
  const plane = await controlPlane({
    env: { ...tiny.env, SAASCTL_DNS_SERVERS: dns.address, SAASCTL_DNS_TIMEOUT: '300ms' }
  })
  t.teardown(() => plane.close())
  const { run, json } = await cli(t, plane.env)
  await json(['tenant', 'create', 'acme'])

  await t.test('an operator adds a domain, proves it and takes it away', async t => {
    const none = await run(['tenant', 'domain', 'list', 'acme'])
    t.match(none, { code: 0, stdout: '', stderr: /Tenant acme has no domain of its own/ })
    const added = await run(['tenant', 'domain', 'add', 'acme', 'billing.acme.example'])
    t.equal(added.code, 0)
    t.match(added.stdout, /^routes +no\n/m)
    t.match(added.stdout, /^record +_saasctl-challenge\.billing\.acme\.example TXT "saasctl-verify=\w{40}"$/m)
    const [, name = '', value = ''] = /Set this record.*: (\S+) TXT "(\S+)"/.exec(added.stderr) ?? []
    t.match(added.stderr, /tenant domain verify acme billing\.acme\.example/)
    const early = await run(['tenant', 'domain', 'verify', 'acme', 'billing.acme.example'])
    t.equal(early.code, 6)
    t.match(early.stderr, /billing\.acme\.example is not proven: there is no TXT record _saasctl-challenge/)
    t.match(await run(['tenant', 'domain', 'list', 'acme']), {
      stdout: /^billing\.acme\.example +no /m,
      stderr: `To be set: ${name} TXT "${value}"`
    })
    dns.records.set(name, [[value]])
    t.match(await run(['tenant', 'domain', 'verify', 'acme', 'billing.acme.example']), {
      code: 0,
      stderr: /routes to acme/
    })
    t.match(await json(['tenant', 'domains', 'ls', 'acme']), [{ hostname: 'billing.acme.example', routes: true }])
    t.match(await json(['tenant', 'domain', 'verify', 'acme', 'billing.acme.example']), {
      hostname: 'billing.acme.example',
      routes: true,
      record: { name, type: 'TXT', value }
    })
    await json(['tenant', 'create', 'globex'])
    const other = await json<{ record: { value: string } }>([
      'tenant',
      'domain',
      'add',
      'globex',
      'billing.acme.example'
    ])
    dns.records.set(name, [[value], [other.record.value]])
    t.match(await run(['tenant', 'domain', 'verify', 'globex', 'billing.acme.example']), {
      code: 6,
      stderr: /Another tenant has proven billing\.acme\.example already/
    })
    t.equal((await run(['tenant', 'domain', 'rm', 'acme', 'billing.acme.example'])).code, 0)
    t.match(await run(['tenant', 'domain', 'remove', 'acme', 'billing.acme.example']), { code: 5 })
  })

  await t.test('typos are told', async t => {
    t.match(await run(['tenant', 'domain', 'add', 'acme', 'https://acme.example']), {
      code: 2,
      stderr: /is not a domain/
    })
    t.match(await run(['tenant', 'domain', 'add', 'acmee', 'a.example']), { code: 5, stderr: /no tenant "acmee"/ })
    t.match(await run(['tenant', 'domain', 'ad', 'acme', 'a.example']), { code: 2, stderr: /Did you mean "add"/ })
    t.match(await run(['tenant', 'domain', 'add', 'acme']), { code: 2 })
    t.match(
      await run(['tenant', 'domain', 'verify', 'acme', 'a.example'], { env: { SAASCTL_DNS_SERVERS: 'dns.google' } }),
      {
        code: 2,
        stderr: /SAASCTL_DNS_SERVERS: must be addresses/
      }
    )
  })

  await t.test('voiding a tenant’s cache is one command', async t => {
    const version = async () =>
      (await plane.saasctl.catalog.query(`select cache_version from saasctl.tenant where slug = 'acme'`))[0]
    const before = await version()
    t.equal((await run(['tenant', 'invalidate', 'acme'])).code, 0)
    t.notSame(await version(), before)
    t.match(await json(['tenant', 'invalidate', '--all', '--yes']), [
      { slug: 'acme', result: 'done' },
      { slug: 'globex', result: 'done' }
    ])
    t.match(await run(['tenant', 'invalidate', 'nobody']), { code: 5 })
    t.match(await run(['tenant', 'invalidate']), { code: 2, stderr: /No tenant was named/ })
  })
}
