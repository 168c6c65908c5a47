import { createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign as signBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import http2 from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import fastifyJwt from '@fastify/jwt'
import fc from 'fast-check'
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { SaasctlError } from '../../src/errors.js'
import { isUuid, parseSlug, uuidv7 } from '../../src/names.js'
import { agree } from '../../src/routing/resolve/agree.js'
import type { Algorithm } from '../../src/routing/resolve/algorithms.js'
import type { Claim, Said, Source } from '../../src/routing/resolve/claim.js'
import { chooseSources, claimsOf, type SourceChoice } from '../../src/routing/resolve/claims.js'
import { custom } from '../../src/routing/resolve/custom.js'
import { fromDomain } from '../../src/routing/resolve/domain.js'
import { factsOf, type RequestFacts } from '../../src/routing/resolve/facts.js'
import { fromHeader } from '../../src/routing/resolve/header.js'
import { hostnameOf } from '../../src/routing/resolve/host.js'
import type { IssuerOptions } from '../../src/routing/resolve/issuers.js'
import { fromJwt, type JwtOptions } from '../../src/routing/resolve/jwt.js'
import { fromPath } from '../../src/routing/resolve/path.js'
import { type Reason, Refusal, reasons } from '../../src/routing/resolve/refusal.js'
import { fromSubdomain } from '../../src/routing/resolve/subdomain.js'
import { tenantName } from '../../src/routing/resolve/tenant-name.js'
import { fromVerifiedUser } from '../../src/routing/resolve/verified-user.js'
import { Secret } from '../../src/secret.js'
import { eventually } from '../support/eventually.js'

const acmeId = uuidv7()
const hostile = [
  '__proto__',
  'constructor',
  'toString',
  '../',
  '..',
  'acme/../globex',
  'acme\0',
  '%2e%2e',
  'acme%2e',
  'ACME',
  ' acme',
  'acme ',
  'acme\n',
  'acme,globex',
  'ac',
  '-acme',
  'acme-',
  'ac--me',
  'acmé',
  'xn--acm-dma',
  'null',
  'undefined',
  '',
  acmeId.toUpperCase(),
  `{${acmeId}}`,
  'a'.repeat(1024 * 1024),
  ['acme'],
  [['acme']],
  { slug: 'acme' },
  42,
  0,
  true,
  null,
  Number.NaN
]

t.test('values', async t => {
  t.strictSame(tenantName('acme-2'), { by: 'slug', value: 'acme-2' })
  t.strictSame(tenantName(acmeId), { by: 'id', value: acmeId })
  for (const value of hostile) t.equal(tenantName(value), undefined, `${String(value).slice(0, 30)} names no tenant`)

  t.test('no value reads as a slug and as an id of ours', async t => {
    const spoof = 'a1b2c3d4-e5f6-7890-abcd-ef0123456789'
    t.ok(isUuid(spoof) && parseSlug(spoof))
    t.equal(tenantName(spoof)?.by, 'slug', 'who signs up under a slug like this one is never looked up as an id')
  })

  t.test('whatever comes in, what goes out is a slug or an id', async () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything(), fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-z0-9-]{1,45}$/)),
        value => {
          const named = tenantName(value)
          if (named?.by === 'slug') parseSlug(named.value)
          return named === undefined || (named.value === value && (named.by === 'slug' || isUuid(named.value)))
        }
      ),
      { numRuns: 2000 }
    )
  })
})

t.test('hostnames', async t => {
  const same: Array<[string, string]> = [
    ['a.saas.test', 'a.saas.test'],
    ['A.SAAS.Test', 'a.saas.test'],
    ['a.saas.test.', 'a.saas.test'],
    ['a.saas.test:443', 'a.saas.test'],
    ['A.SAAS.TEST.:65535', 'a.saas.test'],
    ['localhost:3000', 'localhost'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['127.0.0.1:3000', ''],
    ['1.2.3.4', ''],
    ['0x7f.1', ''],
    ['[::1]', ''],
    ['[2001:db8::1]:8080', '']
  ]
  for (const [host, hostname] of same) t.equal(hostnameOf(host), hostname, `${host} is ${hostname || 'an address'}`)
  const not = [
    ...['a.saas.test..', '.saas.test', 'a..saas.test', '-a.saas.test', 'a-.saas.test', 'a_b.saas.test', '', '.', ':80'],
    ...[
      'a.saas.test:',
      'a.saas.test:80@evil',
      'a@saas.test',
      'a:b@saas.test',
      'a.saas.test:65536',
      'a.saas.test:123456'
    ],
    ...[
      'a.saas.test, b.saas.test',
      'a.saas.test,b.saas.test',
      'a.saas.test b',
      ' a.saas.test',
      'a.saas.test\t',
      'a.saas.test\n'
    ],
    ...[
      'a.saas.test/x',
      'a.saas.test?x',
      'a.saas.test#x',
      'a\\.saas.test',
      'a%2esaas.test',
      'a.saas.test\0',
      'bücher.example'
    ],
    ...[
      '[::1',
      '::1',
      '[::g]',
      '[::1]x',
      '[v1.a]',
      `${'a.'.repeat(150)}test`,
      `${'a.'.repeat(126)}aaa`,
      'a'.repeat(1024 * 1024),
      '__proto__'
    ]
  ]
  for (const host of not) t.equal(hostnameOf(host), undefined, `${JSON.stringify(host.slice(0, 40))} is no host`)
})

t.test('a subdomain names its tenant', async t => {
  const source = fromSubdomain('saas.test')
  const rows: Array<[string, string | Reason | undefined]> = [
    ['acme.saas.test', 'slug acme'],
    ['ACME.saas.test.:8443', 'slug acme'],
    ['saas.test', undefined],
    ['SAAS.TEST.:80', undefined],
    ['www.saas.test', undefined],
    ['api.saas.test', undefined],
    ['acme.saas.test.evil.com', undefined],
    ['evilsaas.test', undefined],
    ['127.0.0.1:3000', undefined],
    ['[::1]:3000', undefined],
    ['', undefined],
    ['a.acme.saas.test', 'malformed'],
    ['xn--acm-dma.saas.test', 'malformed'],
    ['a.saas.test', 'malformed'],
    ['admin.saas.test', 'malformed'],
    ['constructor.saas.test', 'malformed'],
    ['__proto__.saas.test', 'malformed'],
    [`${acmeId}.saas.test`, 'malformed'],
    ['acme.saas.test:80@evil', 'malformed'],
    ['acme.saas.test, globex.saas.test', 'malformed'],
    [`${'a'.repeat(300)}.saas.test`, 'malformed']
  ]
  for (const [host, expected] of rows) {
    t.equal(
      shown(source.claim(facts({ host }))),
      expected,
      `${host.slice(0, 50) || 'no host'}: ${expected ?? 'nothing'}`
    )
  }
  t.equal(
    shown(fromSubdomain('localhost').claim(facts({ host: 'acme.localhost:3000' }))),
    'slug acme',
    'in development too'
  )
  t.equal(
    shown(fromSubdomain('saas.test', { except: ['status-page'] }).claim(facts({ host: 'status-page.saas.test' }))),
    undefined
  )

  t.test('whatever the host, a claim is one slug under the base', async () => {
    const part = fc.constantFrom(
      'acme',
      'saas.test',
      '.',
      ':80',
      '@',
      ',',
      ' ',
      'A',
      '[',
      ']',
      '-',
      'xn--',
      '\0',
      '%2e',
      'é',
      '/'
    )
    const host = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(part, { maxLength: 8 }).map(parts => parts.join(''))
    )
    fc.assert(
      fc.property(host, host => {
        const said = source.claim(facts({ host }))
        if (said === undefined || said instanceof Refusal) return true
        const claim = said as Claim
        return claim.value === parseSlug(claim.value) && host.toLowerCase().startsWith(`${claim.value}.saas.test`)
      }),
      { numRuns: 3000 }
    )
  })
})

t.test('a domain names its owner', async t => {
  const source = fromDomain({ except: ['saas.test'] })
  const rows: Array<[string, string | Reason | undefined]> = [
    ['billing.acme.example', 'hostname billing.acme.example'],
    ['Billing.Acme.Example.:443', 'hostname billing.acme.example'],
    ['xn--bcher-kva.example', 'hostname xn--bcher-kva.example'],
    ['acme.saas.test.evil.com', 'hostname acme.saas.test.evil.com'],
    ['saas.test', undefined],
    ['acme.saas.test', undefined],
    ['localhost', undefined],
    ['127.0.0.1', undefined],
    ['[::1]', undefined],
    [`${'a'.repeat(64)}.example`, 'malformed'],
    ['acme.example@evil', 'malformed'],
    ['acme.example,evil.example', 'malformed']
  ]
  for (const [host, expected] of rows)
    t.equal(shown(source.claim(facts({ host }))), expected, `${host.slice(0, 50)}: ${expected}`)

  t.test('whatever the host, a claim is a hostname outside the product’s own', async () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string({ unit: 'binary', maxLength: 80 })), host => {
        const said = source.claim(facts({ host }))
        if (said === undefined || said instanceof Refusal) return true
        return hostnameOf((said as Claim).value) === host.toLowerCase().replace(/\.?(:\d+)?$/, '')
      }),
      { numRuns: 1000 }
    )
  })
})

t.test('a header is believed of declared callers only', async t => {
  const source = fromHeader('X-Tenant-Id', { trusted: ['10.1.0.0/16', '192.0.2.7', '::1', '2001:db8::/32'] })
  const from = (peer: string, ...values: string[]) =>
    shown(source.claim(facts({ peer, headers: values.map(value => ['x-tenant-id', value] as const) })))
  t.equal(from('10.1.2.3', 'acme'), 'slug acme')
  t.equal(from('10.1.2.3', acmeId), `id ${acmeId}`)
  t.equal(from('::ffff:10.1.2.3', 'acme'), 'slug acme', 'an IPv4 caller on a dual-stack socket is itself')
  t.equal(from('192.0.2.7', 'acme'), 'slug acme')
  t.equal(from('::1', 'acme'), 'slug acme')
  t.equal(from('2001:db8::9', 'acme'), 'slug acme')
  for (const peer of ['10.2.0.1', '192.0.2.8', '::2', 'fe80::1%eth0', '::ffff:10.2.0.1', '', 'nonsense']) {
    t.equal(from(peer, 'acme'), 'untrusted', `not of ${peer || 'a Unix socket'}`)
  }
  const local = fromHeader('x-tenant-id', { trusted: ['fe80::/10'] })
  const neighbour = facts({ peer: 'fe80::1%eth0', headers: [['x-tenant-id', 'acme']] })
  t.equal(shown(local.claim(neighbour)), 'slug acme', 'a link-local peer comes with its interface')
  t.equal(from('10.2.0.1'), undefined, 'a caller without the header says nothing')
  t.equal(from('10.1.2.3', 'acme', 'acme'), 'malformed', 'twice is too often')
  t.equal(from('10.1.2.3', 'acme, globex'), 'malformed')
  for (const value of hostile) {
    if (typeof value === 'string') t.equal(from('10.1.2.3', value), 'malformed', `not ${value.slice(0, 20)}`)
  }
  const forwarded = facts({
    peer: '203.0.113.9',
    headers: [
      ['x-tenant-id', 'acme'],
      ['x-forwarded-for', '10.1.2.3']
    ]
  })
  t.equal(shown(source.claim(forwarded)), 'untrusted', 'X-Forwarded-For makes nobody trusted')
  const headers = [['x-tenant-id', 'acme']] as const
  const mutual = fromHeader('x-tenant-id', { trusted: 'mutual-tls' })
  t.equal(shown(mutual.claim(facts({ headers, certified: true }))), 'slug acme')
  t.equal(shown(mutual.claim(facts({ headers }))), 'untrusted')
  const own = fromHeader('x-tenant-id', { trusted: ({ url }) => url.startsWith('/internal/') })
  t.equal(shown(own.claim(facts({ headers, url: '/internal/x' }))), 'slug acme')
  t.equal(shown(own.claim(facts({ headers, url: '/x' }))), 'untrusted')
  const promised = (async () => true) as unknown as () => boolean
  t.equal(
    shown(fromHeader('x-tenant-id', { trusted: promised }).claim(facts({ headers }))),
    'untrusted',
    'a promise is no yes'
  )
  const broken = fromHeader('x-tenant-id', { trusted: () => fail() })
  t.equal(shown(broken.claim(facts({ headers }))), 'failed')
})

t.test('a path names its tenant', async t => {
  const source = fromPath('/t/:tenant')
  const rows: Array<[string, string | Reason | undefined]> = [
    ['/t/acme', 'slug acme'],
    ['/t/acme/invoices?tenant=globex', 'slug acme'],
    ['/t/acme?x=/../', 'slug acme'],
    [`/t/${acmeId}/invoices`, `id ${acmeId}`],
    ['/t/acme/files/a%2Fb', 'slug acme'],
    ['/t/acme/a..b/.well-known', 'slug acme'],
    ['/tx/acme', undefined],
    ['/', undefined],
    ['//t/acme', undefined],
    ['/%74/acme', undefined],
    ['/T/acme', undefined],
    ['/x/../t/acme', undefined],
    ['/t/', 'malformed'],
    ['/t//acme', 'malformed'],
    ['/t/acme;globex', 'malformed'],
    ['/t/%61cme', 'malformed'],
    ['/t/acme%00', 'malformed'],
    ['/t/acme%2f..%2fglobex', 'malformed'],
    ['/t/acme/../globex', 'malformed'],
    ['/t/acme/..', 'malformed'],
    ['/t/acme/%2e%2E/globex', 'malformed'],
    ['/t/acme/.%2e%5cglobex', 'malformed'],
    ['/t/acme/x%2f..%2f..%2fglobex', 'malformed'],
    ['/t/acme\\..\\globex', 'malformed'],
    ['/t/__proto__', 'malformed'],
    ['/t/constructor', 'malformed'],
    ['/t/acme/\0', 'malformed'],
    [`/t/${'a'.repeat(1024 * 1024)}`, 'malformed'],
    ['http://globex.saas.test/t/acme', 'malformed'],
    ['*', 'malformed']
  ]
  for (const [url, expected] of rows) {
    t.equal(
      shown(source.claim(facts({ url }))),
      expected,
      `${JSON.stringify(url.slice(0, 50))}: ${expected ?? 'nothing'}`
    )
  }
  t.test('whatever the target, a claim is the segment as it stands', async () => {
    const part = fc.constantFrom(
      '/',
      't',
      '/t/',
      'acme',
      '..',
      '%2e',
      '%2f',
      '\\',
      '?',
      '#',
      ';',
      '\0',
      '%00',
      'A',
      acmeId
    )
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 9 }).map(parts => `/${parts.join('')}`),
        url => {
          const said = source.claim(facts({ url }))
          if (said === undefined || said instanceof Refusal) return true
          const { value } = said as Claim
          return tenantName(value) !== undefined && url.split(/[?#]/)[0]?.split('/')[2] === value
        }
      ),
      { numRuns: 2000 }
    )
  })
})

t.test('the application’s own source', async t => {
  const ask = (find: () => unknown) => custom('session', find as () => string).claim(facts({}))
  t.equal(shown(ask(() => 'acme')), 'slug acme')
  t.equal(shown(await ask(async () => acmeId)), `id ${acmeId}`)
  t.equal(shown(ask(() => undefined)), undefined)
  t.equal(shown(await ask(async () => undefined)), undefined)
  for (const value of hostile) t.equal(shown(ask(() => value)), 'malformed')
  t.equal(shown(await ask(async () => ['acme'])), 'malformed')
  const canary = new Error('password=canary at 10.0.0.1')
  for (const refusal of [await ask(() => fail(canary)), await ask(async () => fail(canary))]) {
    t.match(refusal, { reason: 'failed', status: 500, source: 'session', cause: canary })
    t.notMatch((refusal as Refusal).detail, /canary|10\.0/, 'what it threw is a cause for the log, and no sentence')
  }
  t.match(custom('session', () => 'acme', { verified: true }).claim(facts({})), { verified: true, source: 'session' })
})

/* Tokens. */

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const otherP256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const ed25519 = generateKeyPairSync('ed25519')
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
const jwk = (key: KeyObject, more: object): JsonWebKey => ({ ...key.export({ format: 'jwk' }), ...more })
const secret = 's'.repeat(64)

const epoch = 1_800_000_000
const iss = 'https://id.saas.test/'
const aud = 'https://api.saas.test'
const good = { iss, aud, exp: epoch + 600, sub: 'user-1', tid: 'acme' }

type Json = Record<string, unknown>

const segment = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Signs whatever it is given, also what no library would. */
function token(alg: string, key: KeyObject | string, payload: unknown, header: Json = {}): string {
  const input = `${segment({ alg, typ: 'JWT', ...header })}.${segment(payload)}`
  return `${input}.${signature(alg, key, input).toString('base64url')}`
}

function signature(alg: string, key: KeyObject | string, input: string): Buffer {
  const hash = `sha${alg.slice(2)}`
  if (typeof key === 'string') return createHmac(hash, key).update(input).digest()
  if (alg.startsWith('Ed')) return signBytes(null, Buffer.from(input), key)
  if (alg.startsWith('ES')) return signBytes(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  if (alg.startsWith('PS'))
    return signBytes(hash, Buffer.from(input), { key, padding: 6, saltLength: Number(alg.slice(2)) / 8 })
  return signBytes(hash, Buffer.from(input), key)
}

/** Turned by the tests, so that hours pass without waiting. */
class Clock {
  now = epoch * 1000
  readonly read = () => this.now
  pass(seconds: number) {
    this.now += seconds * 1000
  }
}

const es256: IssuerOptions = { iss, aud, algorithms: ['ES256'], key: pem(p256.publicKey) }
const es = (payload: unknown, header?: Json, key: KeyObject = p256.privateKey) => token('ES256', key, payload, header)

function jwt(
  options: Partial<JwtOptions> & { issuer?: Partial<IssuerOptions> } = {},
  claim: string | string[] = 'tid'
): Source {
  const { issuer, ...rest } = options
  const issuers = [{ ...es256, ...issuer } as IssuerOptions]
  return fromJwt(claim, { issuers, clock: () => epoch * 1000, ...rest })
}

const bearing = (value: string) => facts({ headers: [['Authorization', `Bearer ${value}`]] })
const say = async (source: Source, value: string) => shown(await source.claim(bearing(value)))

t.test('a verified token names its tenant, with every algorithm', async t => {
  const keys: Record<Algorithm, { privateKey: KeyObject; publicKey: KeyObject } | undefined> = {
    ...{ RS256: rsa, RS384: rsa, RS512: rsa, PS256: rsa, PS384: rsa, PS512: rsa },
    ...{ ES256: p256, ES384: p384, ES512: p521, EdDSA: ed25519, Ed25519: ed25519 },
    ...{ HS256: undefined, HS384: undefined, HS512: undefined }
  }
  for (const [name, pair] of Object.entries(keys)) {
    const algorithm = name as Algorithm
    const how = pair ? { key: pem(pair.publicKey) } : { secret: new Secret(secret) }
    const source = fromJwt('tid', {
      issuers: [{ iss, aud, algorithms: [algorithm], ...how }],
      clock: () => epoch * 1000
    })
    const fine = token(name, pair?.privateKey ?? secret, good)
    t.equal(await say(source, fine), 'slug acme', name)
    t.equal(await say(source, `${fine.slice(0, -8)}AAAAAAAA`), 'unverified', `${name} with a broken signature`)
    const [head, , tail] = fine.split('.')
    t.equal(
      await say(source, `${head}.${segment({ ...good, tid: 'globex' })}.${tail}`),
      'unverified',
      `${name} altered`
    )
  }
})

t.test('what a good token brings', async t => {
  const source = jwt()
  const claim = (await source.claim(bearing(es(good)))) as Claim
  t.strictSame(claim, {
    ...{ by: 'slug', value: 'acme', source: 'jwt', verified: true },
    identity: { issuer: iss, userId: 'user-1', payload: good }
  })
  t.equal(await say(source, es({ ...good, tid: acmeId })), `id ${acmeId}`)
  t.equal(await say(source, es({ ...good, aud: ['other', aud] })), 'slug acme', 'one audience of several')
  t.equal(shown(await source.claim(facts({ headers: [['authorization', `bearer  ${es(good)}`]] }))), 'slug acme')
  t.equal(
    await say(jwt({}, ['app', 'tenant']), es({ ...good, app: { tenant: 'acme' } })),
    'slug acme',
    'a claim in a claim'
  )
  t.equal(await say(jwt({ by: 'id' }), es(good)), 'malformed', 'a slug where an id was asked for')
  t.equal(await say(jwt({ by: 'id' }), es({ ...good, tid: acmeId })), `id ${acmeId}`)
  t.equal(await say(jwt({ token: () => es(good) }), 'ignored'), 'slug acme', 'a token from elsewhere')
  t.equal(await say(jwt({ token: () => fail() }), 'x'), 'failed')
  const otherUser = (await source.claim(bearing(es({ ...good, sub: 'user-of-globex' })))) as Claim
  t.match(
    otherUser,
    { value: 'acme', identity: { userId: 'user-of-globex' } },
    'the claim decides, never who the subject is'
  )
})

t.test('tokens that open nothing', async t => {
  const source = jwt()
  const without = (name: keyof typeof good) => ({ ...good, [name]: undefined })
  const own = jwk(otherP256.publicKey, { kid: 'evil' })
  const unsigned = `${segment({ alg: 'none' })}.${segment(good)}.`
  const rows: Array<[string, string, Reason]> = [
    ['made with another key', es(good, {}, otherP256.privateKey), 'unverified'],
    ['unsigned, alg none', unsigned, 'malformed'],
    ['alg none with a signature', `${segment({ alg: 'none' })}.${segment(good)}.AA`, 'unverified'],
    ['alg None', `${segment({ alg: 'None' })}.${segment(good)}.AA`, 'unverified'],
    ['no alg', `${segment({})}.${segment(good)}.AA`, 'unverified'],
    ['alg as an array', `${segment({ alg: ['ES256'] })}.${segment(good)}.AA`, 'unverified'],
    ['an algorithm that is not pinned', token('RS256', rsa.privateKey, good), 'unverified'],
    ['an empty signature of zeros', `${es(good).split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`, 'unverified'],
    ['JSON array as payload', es([good]), 'malformed'],
    ['JSON text as payload', es('"acme"'), 'malformed'],
    ['null as payload', es('null'), 'malformed'],
    ['no JSON', es('{'), 'malformed'],
    ['unknown crit', es(good, { crit: ['x'], x: 1 }), 'unverified'],
    ['crit b64', es(good, { crit: ['b64'], b64: true }), 'unverified'],
    ['crit empty', es(good, { crit: [] }), 'unverified'],
    ['crit null', es(good, { crit: null }), 'unverified'],
    ['own key in jwk', es(good, { jwk: own, kid: 'evil' }, otherP256.privateKey), 'unverified'],
    ['own certificate in x5c', es(good, { x5c: ['MIIB'] }, otherP256.privateKey), 'unverified'],
    ['a path as kid', es(good, { kid: '../../../etc/passwd' }, otherP256.privateKey), 'unverified'],
    ['no exp', es(without('exp')), 'unverified'],
    ['exp as text', es({ ...good, exp: String(epoch + 600) }), 'unverified'],
    ['exp null', es({ ...good, exp: null }), 'unverified'],
    ['exp without end', es(JSON.stringify(good).replace(`${good.exp}`, '1e999')), 'unverified'],
    ['expired', es({ ...good, exp: epoch - 30 }), 'expired'],
    ['not valid yet', es({ ...good, nbf: epoch + 31 }), 'expired'],
    ['nbf as text', es({ ...good, nbf: 'now' }), 'unverified'],
    ['of the future', es({ ...good, iat: epoch + 31 }), 'expired'],
    ['no iss', es(without('iss')), 'unverified'],
    ['another iss', es({ ...good, iss: 'https://id.saas.test' }), 'unverified'],
    ['iss as an array', es({ ...good, iss: [iss] }), 'unverified'],
    ['iss __proto__', es({ ...good, iss: '__proto__' }), 'unverified'],
    ['no aud', es(without('aud')), 'unverified'],
    ['another aud', es({ ...good, aud: 'https://other' }), 'unverified'],
    ['aud as an object', es({ ...good, aud: { [aud]: true } }), 'unverified'],
    ['aud in an inner array', es({ ...good, aud: [[aud]] }), 'unverified'],
    ['no tenant', es(without('tid')), 'malformed'],
    [
      'a tenant inherited from __proto__',
      es(JSON.stringify(without('tid')).replace('{', '{"__proto__":{"tid":"acme"},')),
      'malformed'
    ],
    ['a refresh token (token_use)', es({ ...good, token_use: 'refresh' }), 'unverified'],
    ['a refresh token (Keycloak)', es({ ...good, typ: 'Refresh' }), 'unverified'],
    ['an offline token (Keycloak)', es({ ...good, typ: 'Offline' }), 'unverified'],
    ['a refresh token (header)', es(good, { typ: 'application/rt+jwt' }), 'unverified'],
    ['no token', 'opaque', 'malformed'],
    ['nothing', '', 'malformed'],
    ['encrypted', 'a.b.c.d.e', 'malformed'],
    ['with padding', `${es(good)}=`, 'malformed'],
    ['of 1 MB', `${'a'.repeat(1024 * 1024)}.a.a`, 'malformed']
  ]
  for (const [what, value, reason] of rows) t.equal(await say(source, value), reason, what)
  for (const value of hostile) {
    t.equal(await say(source, es({ ...good, tid: value })), 'malformed', `tenant ${String(value).slice(0, 30)}`)
  }

  t.test('skew is allowed for, to the second', async t => {
    t.equal(await say(source, es({ ...good, exp: epoch - 29 })), 'slug acme')
    t.equal(await say(source, es({ ...good, nbf: epoch + 30, iat: epoch + 30 })), 'slug acme')
    const exact = jwt({ clockSkewSeconds: 0 })
    t.equal(await say(exact, es({ ...good, exp: epoch + 1 })), 'slug acme')
    t.equal(await say(exact, es({ ...good, exp: epoch })), 'expired')
    t.equal(await say(exact, es({ ...good, nbf: epoch + 1 })), 'expired')
  })

  t.test('a purpose can be required', async t => {
    const strict = jwt({ issuer: { typ: 'at+jwt', require: { token_use: 'access' } } })
    t.equal(await say(strict, es({ ...good, token_use: 'access' }, { typ: 'at+JWT' })), 'slug acme')
    t.equal(await say(strict, es({ ...good, token_use: 'id' }, { typ: 'at+jwt' })), 'unverified')
    t.equal(await say(strict, es({ ...good, token_use: ['access'] }, { typ: 'at+jwt' })), 'unverified')
    t.equal(await say(strict, es(good, { typ: 'at+jwt' })), 'unverified')
    t.equal(await say(strict, es({ ...good, token_use: 'access' })), 'unverified', 'typ JWT')
  })

  t.test('a public key is never a secret', async t => {
    const open = pem(rsa.publicKey)
    for (const key of [open, `\ufeff${open}`, `  ${open}`]) {
      const source = jwt({ issuer: { algorithms: ['RS256'], key } })
      t.equal(await say(source, token('RS256', rsa.privateKey, good)), 'slug acme')
      for (const forged of [open, open.trim(), `${open}\n`, `\ufeff${open}`, `  ${open}`, `text ${open}`, key, '']) {
        t.equal(await say(source, token('HS256', forged, good)), 'unverified')
      }
    }
  })

  t.test('what is refused tells no secret', async t => {
    for (const [, value] of rows) {
      const refusal = (await source.claim(bearing(value))) as Refusal
      const told = JSON.stringify(refusal)
      t.notOk(value.length > 20 && told.includes(value.slice(0, 20)), refusal.detail)
      t.notMatch(told, /user-1/)
    }
  })

  t.test('two Authorization headers are one too many; another scheme says nothing', async t => {
    const line = ['authorization', `Bearer ${es(good)}`] as const
    t.equal(shown(await source.claim(facts({ headers: [line, line] }))), 'malformed')
    t.equal(shown(await source.claim(facts({ headers: [['authorization', 'Basic YWNtZTpwdw==']] }))), undefined)
    t.equal(shown(await source.claim(facts({}))), undefined)
  })

  t.test('whatever stands where the token should, it is an answer', async () => {
    const base = fc.constant(es(good))
    const mangled = fc
      .tuple(base, fc.nat(400), fc.string({ unit: 'binary', maxLength: 3 }))
      .map(([text, at, by]) => text.slice(0, at) + by + text.slice(at + 1))
    const anyJson = fc.jsonValue().map(value => es(value as Json))
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary' }), mangled, anyJson), async value => {
        const said = await source.claim(bearing(value))
        return said instanceof Refusal || value.trim() === es(good) || (said as Claim).value === 'acme'
      }),
      { numRuns: 300 }
    )
  })
})

t.test('a remembered token', async t => {
  const clock = new Clock()
  const source = jwt({ clock: clock.read, cacheSize: 4 })
  const fine = es(good)
  const first = source.claim(bearing(fine))
  t.ok(first instanceof Promise)
  const claim = (await first) as Claim
  t.equal(source.claim(bearing(fine)), claim, 'is answered at once')
  t.throws(() => Object.assign(claim.identity?.payload ?? {}, { tid: 'globex' }), 'cannot be changed')
  const roles = es({ ...good, roles: [{ name: 'user' }] })
  const nested = (await source.claim(bearing(roles))) as unknown as {
    identity: { payload: { roles: [{ name: string }] } }
  }
  t.throws(() => Object.assign(nested.identity.payload.roles[0], { name: 'admin' }), 'at no depth')
  for (let made = 0; made < 20; made += 1)
    await source.claim(bearing(es({ ...good, jti: made }, {}, otherP256.privateKey)))
  t.equal(source.claim(bearing(fine)), claim, 'is not pushed out by bad ones')
  clock.pass(629)
  t.equal(source.claim(bearing(fine)), claim, 'holds to its end and the skew')
  clock.pass(1)
  t.equal(await say(source, fine), 'expired', 'and not for a second more')
})

/* Published keys. */

/** An issuer's key server, on this machine and a port of its own. */
async function keyServer(t: Test) {
  const state = {
    asked: 0,
    keys: [] as JsonWebKey[],
    answer: undefined as { status: number; body: string; location?: string } | undefined
  }
  const server = createServer((_request, response) => {
    state.asked += 1
    const { status, body, location } = state.answer ?? { status: 200, body: JSON.stringify({ keys: state.keys }) }
    response
      .writeHead(status, { 'content-type': 'application/json', connection: 'close', ...(location && { location }) })
      .end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return Object.assign(state, { url: `http://127.0.0.1:${port}/jwks.json` })
}

const down = { status: 500, body: '' }

async function published(t: Test) {
  const clock = new Clock()
  const server = await keyServer(t)
  server.keys = [jwk(p256.publicKey, { kid: 'old' })]
  const source = fromJwt('tid', {
    issuers: [{ iss, aud, algorithms: ['ES256'], jwksUrl: server.url }],
    clock: clock.read
  })
  const long = { ...good, exp: epoch + 86_400 }
  return {
    clock,
    server,
    source,
    old: es(long, { kid: 'old' }),
    fresh: es(long, { kid: 'new' }, otherP256.privateKey),
    long
  }
}

t.test('an issuer publishes its keys', async t => {
  t.test('they are asked for once, by all who wait, and then known', async t => {
    const { clock, server, source, old } = await published(t)
    const answers = await Promise.all(Array.from({ length: 20 }, () => say(source, old)))
    t.strictSame(new Set(answers), new Set(['slug acme']))
    t.equal(server.asked, 1)
    clock.pass(29)
    t.notOk(source.claim(bearing(old)) instanceof Promise)
    await wait(50)
    t.equal(server.asked, 1)
  })

  t.test('one key id may stand for a key of each kind', async t => {
    const { server, long } = await published(t)
    server.keys = [jwk(p256.publicKey, { kid: 'x' }), jwk(rsa.publicKey, { kid: 'x' })]
    const algorithms = ['ES256', 'RS256'] as const
    const source = fromJwt('tid', {
      issuers: [{ iss, aud, algorithms, jwksUrl: server.url }],
      clock: () => epoch * 1000
    })
    t.equal(await say(source, es(long, { kid: 'x' })), 'slug acme')
    t.equal(await say(source, token('RS256', rsa.privateKey, long, { kid: 'x' })), 'slug acme')
  })

  t.test('a flood of unknown key ids is one question per cooldown', async t => {
    const { clock, server, source, old, long } = await published(t)
    const flood = () => Promise.all(Array.from({ length: 50 }, (_, kid) => say(source, es(long, { kid: `k${kid}` }))))
    await say(source, old)
    t.strictSame(new Set(await flood()), new Set(['unverified']))
    t.equal(server.asked, 1, 'none so soon after the last')
    clock.pass(10)
    t.strictSame(new Set(await flood()), new Set(['unverified']))
    t.equal(server.asked, 2)
    await flood()
    t.equal(server.asked, 2)
    t.equal(await say(source, es(long)), 'unverified', 'a token without a key id asks nobody')
    t.equal(await say(source, es(long, { kid: 7 })), 'unverified')
    t.equal(await say(source, es(long, { kid: '__proto__' })), 'unverified')
    t.equal(server.asked, 2)
    clock.pass(10)
    t.equal(
      await say(source, token('RS256', rsa.privateKey, long, { kid: 'rsa' })),
      'unverified',
      'nor an algorithm that is not pinned'
    )
    t.equal(server.asked, 2)
  })

  t.test('a new key is found by its first token; an old one counts until it is taken back', async t => {
    const { clock, server, source, old, fresh } = await published(t)
    t.equal(await say(source, old), 'slug acme')
    clock.pass(15)
    server.keys = [jwk(p256.publicKey, { kid: 'old' }), jwk(otherP256.publicKey, { kid: 'new' })]
    t.equal(await say(source, fresh), 'slug acme')
    t.notOk(source.claim(bearing(old)) instanceof Promise, 'the old one is still remembered')
    server.keys = [jwk(otherP256.publicKey, { kid: 'new' })]
    clock.pass(60)
    t.strictSame(
      await Promise.all([say(source, old), say(source, old)]),
      ['unverified', 'unverified'],
      'refused within 60 s'
    )
    t.equal(await say(source, fresh), 'slug acme')
    t.equal(server.asked, 3)
  })

  t.test('under load a key that is taken back is noticed in the background', async t => {
    const { clock, server, source, old } = await published(t)
    t.equal(await say(source, old), 'slug acme')
    server.keys = []
    clock.pass(31)
    t.notOk(source.claim(bearing(old)) instanceof Promise, 'nobody waits for it')
    await eventually(
      () => say(source, old),
      said => said === 'unverified'
    )
    t.equal(server.asked, 2)
  })

  t.test('a key that is replaced under its own id is another key', async t => {
    const { clock, server, source, old, long } = await published(t)
    t.equal(await say(source, old), 'slug acme')
    server.keys = [jwk(otherP256.publicKey, { kid: 'old' })]
    clock.pass(60)
    t.equal(await say(source, old), 'unverified')
    t.equal(await say(source, es(long, { kid: 'old' }, otherP256.privateKey)), 'slug acme')
  })

  t.test('while the issuer is down its last keys count for ten minutes, then nothing can be said', async t => {
    const { clock, server, source, old, fresh, long } = await published(t)
    t.equal(await say(source, old), 'slug acme')
    server.answer = down
    clock.pass(60)
    t.equal(await say(source, old), 'slug acme')
    t.equal(await say(source, es({ ...long, jti: 'another' }, { kid: 'old' })), 'slug acme')
    t.equal(await say(source, fresh), 'unavailable', 'an unknown key may be a new one')
    clock.pass(10)
    t.notOk(source.claim(bearing(old)) instanceof Promise, 'nobody waits for an issuer that is known to be down')
    clock.pass(529)
    t.equal(await say(source, old), 'slug acme')
    clock.pass(1)
    t.equal(await say(source, old), 'unavailable')
    t.equal(reasons.unavailable.status, 503)
    server.answer = undefined
    clock.pass(10)
    t.equal(await say(source, old), 'slug acme', 'and well again after a cooldown')
  })

  t.test('while the issuer is down it is asked once per cooldown', async t => {
    const { clock, server, source, old } = await published(t)
    server.answer = down
    t.strictSame(
      new Set(await Promise.all(Array.from({ length: 30 }, () => say(source, old)))),
      new Set(['unavailable'])
    )
    t.equal(server.asked, 1)
    t.equal(await say(source, old), 'unavailable')
    t.equal(server.asked, 1)
    clock.pass(10)
    server.answer = undefined
    t.equal(await say(source, old), 'slug acme')
  })

  t.test('an answer that is none changes nothing', async t => {
    const { clock, server, source, old } = await published(t)
    t.equal(await say(source, old), 'slug acme')
    const other = await keyServer(t)
    const answers = [
      { status: 200, body: 'not json' },
      { status: 200, body: '[]' },
      { status: 200, body: '{"keys":{}}' },
      { status: 404, body: '{"keys":[]}' },
      { status: 302, body: '', location: other.url },
      { status: 200, body: JSON.stringify({ keys: [], pad: 'x'.repeat(1024 * 1024) }) }
    ]
    for (const answer of answers) {
      server.answer = answer
      const { asked } = server
      clock.pass(75)
      t.equal(await say(source, old), 'slug acme', `status ${answer.status}, ${answer.body.slice(0, 20)}`)
      t.equal(server.asked, asked + 1)
    }
    t.equal(other.asked, 0, 'redirects are not followed')
  })

  t.test('only public signature keys of the right kind are taken from it', async t => {
    const { server, source, long } = await published(t)
    server.keys = [
      { kty: 'oct', kid: 'oct', k: Buffer.from(secret).toString('base64url') },
      jwk(p256.privateKey, { kid: 'private' }),
      jwk(p256.publicKey, { kid: 'enc', use: 'enc' }),
      jwk(p256.publicKey, { kid: 'ops', key_ops: ['deriveKey'] }),
      jwk(p256.publicKey, { kid: 'alg', alg: 'ES384' }),
      jwk(p256.publicKey, {}),
      jwk(p256.publicKey, { kid: 'off', x: 'AAAA' }),
      jwk(p384.publicKey, { kid: 'p384' }),
      jwk(weakRsa.publicKey, { kid: 'weak' }),
      null as unknown as JsonWebKey,
      jwk(p256.publicKey, { kid: 'fine', use: 'sig', alg: 'ES256', key_ops: ['verify'] }),
      jwk(otherP256.publicKey, { kid: 'fine' })
    ]
    for (const kid of ['private', 'enc', 'ops', 'alg', 'off', 'p384', 'weak', 'undefined']) {
      t.equal(await say(source, es(long, { kid })), 'unverified', kid)
    }
    t.equal(await say(source, token('HS256', secret, long, { kid: 'oct' })), 'unverified')
    t.equal(await say(source, es(long, { kid: 'fine' })), 'slug acme')
    t.equal(
      await say(source, es(long, { kid: 'fine' }, otherP256.privateKey)),
      'unverified',
      'the first of a name counts'
    )

    const rsaSource = fromJwt('tid', {
      issuers: [{ iss, aud, algorithms: ['RS256'], jwksUrl: server.url }],
      clock: () => epoch * 1000
    })
    t.equal(
      await say(rsaSource, token('RS256', weakRsa.privateKey, long, { kid: 'weak' })),
      'unverified',
      'RSA of 1,024 bits'
    )
  })

  t.test('two issuers may use one key id, and neither speaks for the other', async t => {
    const [ours, theirs] = await Promise.all([keyServer(t), keyServer(t)])
    ours.keys = [jwk(p256.publicKey, { kid: 'key-1' })]
    theirs.keys = [jwk(otherP256.publicKey, { kid: 'key-1' })]
    const issuers: IssuerOptions[] = [
      { iss, aud, algorithms: ['ES256'], jwksUrl: ours.url },
      { iss: 'https://id.other', aud, algorithms: ['ES256'], jwksUrl: theirs.url }
    ]
    const header = { kid: 'key-1' }
    const foreign = { ...good, iss: 'https://id.other', tid: 'globex' }
    for (const order of [issuers, [...issuers].reverse()]) {
      const source = fromJwt('tid', { issuers: order, clock: () => epoch * 1000 })
      t.equal(await say(source, es(foreign, header, otherP256.privateKey)), 'slug globex')
      t.equal(await say(source, es(good, header)), 'slug acme')
      t.equal(await say(source, es(good, header, otherP256.privateKey)), 'unverified')
      t.equal(await say(source, es(foreign, header)), 'unverified')
    }
  })

  t.test('a secret of our own and an RSA key that is published do not mix', async t => {
    const server = await keyServer(t)
    server.keys = [jwk(rsa.publicKey, { kid: 'rsa' })]
    const source = fromJwt('tid', {
      issuers: [{ iss, aud, algorithms: ['RS256'], jwksUrl: server.url }],
      clock: () => epoch * 1000
    })
    t.equal(await say(source, token('RS256', rsa.privateKey, good, { kid: 'rsa' })), 'slug acme')
    const modulus = jwk(rsa.publicKey, {}).n ?? ''
    for (const key of [pem(rsa.publicKey), pem(rsa.publicKey).trim(), JSON.stringify(server.keys[0]), modulus]) {
      t.equal(await say(source, token('HS256', key, good, { kid: 'rsa' })), 'unverified')
    }
    t.equal(
      await say(source, token('PS256', rsa.privateKey, good, { kid: 'rsa' })),
      'unverified',
      'PS256 was not pinned'
    )
    t.equal(await say(source, token('RS256', otherRsa.privateKey, good, { kid: 'rsa' })), 'unverified')
  })

  t.test('a token cannot say where its key is', async t => {
    const { source, long } = await published(t)
    const evil = await keyServer(t)
    evil.keys = [jwk(otherP256.publicKey, { kid: 'old' })]
    for (const header of [
      { jku: evil.url },
      { x5u: evil.url },
      { jwk: evil.keys[0] },
      { jku: evil.url, kid: evil.url }
    ]) {
      t.equal(await say(source, es(long, { kid: 'old', ...header }, otherP256.privateKey)), 'unverified')
    }
    t.equal(await say(source, es(long, { kid: 'old', jku: evil.url })), 'slug acme', 'a good token’s jku is not read')
    t.equal(evil.asked, 0)
  })
})

/* In Fastify. */

/** Answers what the request is said to be, for the tests to compare. */
async function serve(
  t: Test,
  sources: Source[],
  { choice, ...options }: FastifyServerOptions & { choice?: SourceChoice } = {}
) {
  const app = fastify({ forceCloseConnections: true, ...options })
  const chosen = chooseSources(sources, choice)
  app.get('/*', async request => {
    const said = await claimsOf(chosen, factsOf(request))
    return said instanceof Refusal
      ? said.reason
      : said.map(({ source, by, value }) => `${source} ${by} ${value}`).join(' & ')
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return app
}

/** Sends the lines as they are and gives the bodies of the answers. */
async function raw(app: FastifyInstance, ...requests: string[][]): Promise<string[]> {
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  const all = requests.map((lines, index) => {
    const last = index === requests.length - 1
    return [...lines, ...(last ? ['Connection: close'] : []), '', ''].join('\r\n')
  })
  socket.write(all.join('')) // ended here, the server would not wait for its own answer
  let text = ''
  for await (const chunk of socket) text += chunk
  const answers = text.split(/HTTP\/1\.1 (?=\d{3} )/).slice(1)
  return answers.map(answer =>
    answer.startsWith('200') ? answer.slice(answer.indexOf('\r\n\r\n') + 4) : answer.slice(0, 3)
  )
}

t.test('what the wire brings to Fastify', async t => {
  const app = await serve(t, [fromSubdomain('saas.test')])
  const proxied = await serve(t, [fromSubdomain('saas.test')], { trustProxy: '127.0.0.1' })
  const elsewhere = await serve(t, [fromSubdomain('saas.test')], { trustProxy: '10.0.0.0/8' })
  const get = (...headers: string[]) => ['GET / HTTP/1.1', ...headers]
  const one = async (...lines: string[]) => (await raw(app, lines))[0]

  t.equal(await one(...get('Host: acme.saas.test')), 'host slug acme')
  t.equal(await one(...get('hOsT: ACME.saas.test.:80')), 'host slug acme')
  t.equal(await one(...get('Host: acme.saas.test', 'Host: globex.saas.test')), 'malformed')
  t.equal(await one(...get('Host: acme.saas.test', 'Host: acme.saas.test')), 'malformed', 'two equal hosts are two')
  t.equal(await one(...get('Host: acme.saas.test', 'HOST: globex.saas.test')), 'malformed')
  t.equal(await one(...get('Host: acme.saas.test, globex.saas.test')), 'malformed')
  t.equal(await one(...get('Host: globex@acme.saas.test')), 'malformed')
  t.equal(await one(...get('Host: acme.saas.test:80@evil')), 'malformed')
  t.equal(await one(...get('Host: acme.saas.test.evil.com')), 'absent')
  t.equal(await one(...get('Host: ')), 'absent')
  t.equal(await one(...get('Host: [::1]:3000')), 'absent')
  t.equal(await one(...get(`Host: ${'a'.repeat(300)}.saas.test`)), 'malformed')
  t.equal(await one(...get('Host: acm\u00e9.saas.test')), 'malformed')
  t.equal(await one('GET / HTTP/1.0'), 'absent')
  t.equal(
    await one('GET http://globex.saas.test/ HTTP/1.1', 'Host: acme.saas.test'),
    'malformed',
    'a target with a host of its own'
  )
  t.equal(await one('GET http://globex@acme.saas.test/ HTTP/1.1', 'Host: acme.saas.test'), 'malformed')

  const forwarded = get('Host: acme.saas.test', 'X-Forwarded-Host: globex.saas.test')
  t.strictSame(await raw(app, forwarded), ['host slug acme'], 'X-Forwarded-Host of anybody is nothing')
  t.strictSame(await raw(elsewhere, forwarded), ['host slug acme'], 'nor of a peer that is not the proxy')
  t.strictSame(await raw(proxied, forwarded), ['host slug globex'], 'of the proxy it is the host')
  const chain = get('Host: inner', 'X-Forwarded-Host: globex.saas.test, acme.saas.test')
  t.strictSame(await raw(proxied, chain), ['host slug acme'], 'the nearest proxy has the last word')
  t.strictSame(await raw(proxied, get('Host: inner', 'X-Forwarded-Host: acme.saas.test:80@evil')), ['malformed'])
  t.strictSame(await raw(proxied, get('Host: a.test', 'Host: b.test', 'X-Forwarded-Host: acme.saas.test')), [
    'malformed'
  ])

  t.strictSame(
    await raw(app, get('Host: acme.saas.test'), get('Host: globex.saas.test'), get('Host: acme.saas.test')),
    ['host slug acme', 'host slug globex', 'host slug acme'],
    'the tenant may change between two requests of one connection'
  )

  t.test('injected requests are no exception', async t => {
    const inject = async (headers: Record<string, string | string[]>) => (await app.inject({ url: '/', headers })).body
    t.equal(await inject({ host: 'acme.saas.test' }), 'host slug acme')
    t.equal(await inject({ host: ['acme.saas.test', 'globex.saas.test'] }), 'malformed')
    t.equal(await inject({ host: 'acme.saas.test:80@evil' }), 'malformed')
  })

  t.test('a path is read as the client sent it, also when the application rewrites it', async t => {
    const rewriteUrl = ({ url = '/' }: { url?: string }) => url.replace(/^.*\/t\/[^/]+/, '')
    const rewriting = await serve(t, [fromPath('/t/:tenant')], { rewriteUrl })
    t.strictSame(await raw(rewriting, ['GET /t/acme/invoices HTTP/1.1', 'Host: x']), ['path slug acme'])
    t.strictSame(await raw(rewriting, ['GET http://x/t/acme/invoices HTTP/1.1', 'Host: x']), ['malformed'])
  })

  t.test('HTTP/2 says :authority for Host', async t => {
    const server = fastify({ http2: true })
    const source = fromSubdomain('saas.test')
    server.get('/', async request => shown(source.claim(factsOf(request))) ?? 'nothing')
    await server.listen({ port: 0, host: '127.0.0.1' })
    const session = http2.connect(`http://127.0.0.1:${(server.server.address() as AddressInfo).port}`)
    t.teardown(async () => {
      session.destroy()
      await server.close()
    })
    const ask = async (headers: http2.OutgoingHttpHeaders) => {
      let body = ''
      for await (const chunk of session.request({ ':path': '/', ...headers })) body += chunk
      return body
    }
    t.equal(await ask({ ':authority': 'acme.saas.test' }), 'slug acme')
    t.equal(await ask({ ':authority': 'acme.saas.test', host: 'acme.saas.test' }), 'slug acme')
    t.equal(
      await ask({ ':authority': 'acme.saas.test', host: 'globex.saas.test' }),
      'malformed',
      'and one Host only beside it'
    )
  })

  t.test('a tenant header counts from the socket’s peer', async t => {
    const trusted = await serve(t, [fromHeader('x-tenant-id', { trusted: ['127.0.0.1'] })])
    const foreign = await serve(t, [fromHeader('x-tenant-id', { trusted: ['10.0.0.1'] })], { trustProxy: true })
    const header = 'X-Tenant-Id: globex'
    t.strictSame(await raw(trusted, get('Host: x', header)), ['header slug globex'])
    t.strictSame(await raw(trusted, get('Host: x', header, 'x-tenant-ID: acme')), ['malformed'])
    t.strictSame(await raw(foreign, get('Host: x', header, 'X-Forwarded-For: 10.0.0.1')), ['untrusted'])
  })
})

t.test('a token beside other names', async t => {
  const sources = [
    fromJwt('tid', { issuers: [es256], clock: () => epoch * 1000 }),
    fromSubdomain('saas.test'),
    fromHeader('x-tenant-id', { trusted: ['10.0.0.1'] })
  ]
  const app = await serve(t, sources, { choice: ['jwt', 'host'] })
  const bearer = (payload: Json) => `Authorization: Bearer ${es(payload)}`
  const ask = async (...headers: string[]) => (await raw(app, ['GET / HTTP/1.1', ...headers]))[0]
  t.equal(await ask('Host: acme.saas.test', bearer(good)), 'jwt slug acme & host slug acme')
  t.equal(await ask('Host: api.saas.test', bearer(good)), 'jwt slug acme')
  t.equal(await ask('Host: acme.saas.test'), 'absent', 'a hostname without the token is not enough')
  t.equal(
    await ask('Host: acme.saas.test', bearer({ ...good, exp: epoch - 60 })),
    'expired',
    'a bad token is no visitor'
  )
  t.equal(await ask('Host: acme.saas.test', bearer(good), bearer({ ...good, tid: 'globex' })), 'malformed')
  t.equal(
    await ask('Host: acme.saas.test', bearer(good), 'X-Tenant-Id: globex'),
    'jwt slug acme & host slug acme',
    'not asked'
  )
  const open = await serve(t, sources)
  const headers = ['GET / HTTP/1.1', 'Host: acme.saas.test', bearer(good), 'X-Tenant-Id: globex']
  t.strictSame(await raw(open, headers), ['untrusted'], 'where the header is a source, an outsider’s ends the request')
})

t.test('which sources must speak', async t => {
  const says = (name: string, value: string | undefined, verified = false) => custom(name, () => value, { verified })
  const host = says('host-like', 'acme')
  const silent = says('silent', undefined)
  const proven = says('proven', 'acme', true)
  const unproven = says('unproven', undefined, true)
  const later = custom('later', async () => 'acme')
  const broken = custom('broken', async () => fail())
  const ask = async (sources: Source[], choice?: SourceChoice) => {
    const said = await claimsOf(chooseSources(sources, choice), facts({}))
    return said instanceof Refusal ? said.reason : said.map(({ source }) => source)
  }
  t.strictSame(await ask([host]), ['host-like'])
  t.strictSame(await ask([silent]), 'absent')
  t.strictSame(await ask([host, silent]), ['host-like'])
  t.strictSame(await ask([host, proven]), ['host-like', 'proven'])
  t.strictSame(await ask([host, unproven]), 'absent', 'one that could prove it must')
  t.strictSame(await ask([host, unproven], 'host-like'), ['host-like'], 'unless the route does not ask it')
  t.strictSame(
    await ask([host, unproven], { allow: ['host-like', 'unproven'], require: [] }),
    ['host-like'],
    'or says so'
  )
  t.strictSame(await ask([host, silent], { require: ['host-like', 'silent'] }), 'absent')
  t.strictSame(await ask([host, proven], { require: ['host-like', 'proven'] }), ['host-like', 'proven'])
  t.strictSame(await ask([host, later, proven]), ['host-like', 'later', 'proven'], 'also when one takes time')
  t.strictSame(await ask([later, silent], { require: ['silent'], allow: ['later'] }), 'absent')
  t.strictSame(await ask([proven, broken]), 'failed', 'one that refuses ends it')
  t.notOk(claimsOf(chooseSources([host, proven]), facts({})) instanceof Promise, 'without waiting, when nobody does')
})

t.test('sources that name one tenant in different words agree', async t => {
  const claim = (source: string, by: Claim['by'], value: string): Claim => ({ source, by, value, verified: false })
  const acme = { tenantId: acmeId, slug: 'acme' }
  const globex = { tenantId: uuidv7(), slug: 'globex' }
  const token = claim('jwt', 'id', acmeId)
  const host = claim('host', 'slug', 'acme')
  t.equal(agree([token], [acme]), acme)
  t.equal(agree([token, host], [acme, { ...acme }]), acme)
  t.match(agree([token, host], [acme, globex]), { reason: 'disagree', alarming: true, status: 404 })
  t.match(agree([token, host], [acme, undefined]), { reason: 'unknown', source: 'host', status: 404 })
  t.match(agree([token, host], [undefined, acme]), { reason: 'unknown', source: 'jwt' })
  t.match(agree([token, host], [undefined, undefined]), { reason: 'unknown' })
  t.match(agree([token, host], [acme]), { reason: 'unknown' }, 'a claim that was not looked up leads nowhere')
  t.match(agree([], []), { reason: 'absent' })
})

t.test('the outside sees one refusal', async t => {
  const ownFault: Reason[] = ['unavailable', 'failed']
  for (const [reason, { status }] of Object.entries(reasons)) {
    if (!ownFault.includes(reason as Reason)) t.equal(status, 404, reason)
  }
})

t.test('an application that verifies its tokens itself', async t => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(fastifyJwt, { secret })
  app.addHook('onRequest', async request => {
    if (request.headers.authorization) await request.jwtVerify()
  })
  const loose = fromVerifiedUser('tid')
  const strict = fromVerifiedUser('tid', { iss, aud })
  app.get('/loose', async request => ({ said: shown(loose.claim(factsOf(request))) }))
  app.get('/strict', async request => ({ said: shown(strict.claim(factsOf(request))) }))
  const now = Math.floor(Date.now() / 1000)
  const current = { ...good, exp: now + 600 }
  const ask = async (url: string, payload?: Json) => {
    const headers = payload && { authorization: `Bearer ${token('HS256', secret, payload)}` }
    const { said } = (await app.inject({ url, headers: headers ?? {} })).json<{ said?: string }>()
    return said
  }
  t.equal(await ask('/strict', current), 'slug acme')
  t.equal(await ask('/loose', current), 'slug acme')
  t.equal(await ask('/strict'), undefined)
  t.equal(await ask('/loose', { ...current, tid: ['acme'] }), 'malformed', 'what @fastify/jwt lets pass')
  t.equal(await ask('/loose', { ...current, tid: null }), 'malformed')
  t.equal(await ask('/strict', { ...current, iss: [iss] }), 'unverified')
  t.equal(await ask('/strict', { tid: 'acme' }), 'unverified', 'no iss, no aud')
  t.equal(await ask('/strict', { ...current, aud: 'https://other' }), 'unverified')
  t.equal(shown(loose.claim(facts({ user: { tid: 'acme', exp: now - 1 } }))), 'expired')
  t.equal(shown(loose.claim(facts({ user: { tid: 'acme', exp: 'never' } }))), 'expired')
  t.equal(
    shown(loose.claim(facts({ user: Object.create({ tid: 'acme' }) }))),
    'malformed',
    'an inherited claim is none'
  )
  t.equal(shown(loose.claim(facts({ user: 'acme' }))), 'malformed')
  t.equal(shown(loose.claim(facts({ user: null }))), undefined)
})

t.test('a configuration that could be broken is refused at the start, with every problem', async t => {
  const rows: Array<[string, () => unknown, RegExp]> = [
    ['a base with a port', () => fromSubdomain('saas.test:80'), /saas\.test:80/],
    ['a base in upper case', () => fromSubdomain('SAAS.test'), /SAAS/],
    ['an empty base', () => fromSubdomain(''), /not a hostname/],
    ['an address as base', () => fromSubdomain('127.0.0.1'), /not a hostname/],
    ['own domains that are none', () => fromDomain({ except: ['ok.test', '*.saas.test'] }), /\*\.saas\.test/],
    ['nobody trusted', () => fromHeader('x-tenant-id', { trusted: [] }), /no caller/],
    [
      'a network that is none',
      () => fromHeader('x', { trusted: ['10.0.0.0/33', '::1', 'proxy'] }),
      /10\.0\.0\.0\/33.*proxy/
    ],
    ['a header that is none', () => fromHeader('x tenant', { trusted: ['::1'] }), /header/],
    ['a pattern without parameter', () => fromPath('/t/'), /pattern/],
    ['a pattern with more', () => fromPath('/t/:tenant/x'), /pattern/],
    ['a name that is taken', () => custom('jwt', () => 'acme'), /taken/],
    ['an unknown source', () => chooseSources([fromPath('/t/:tenant')], ['path', 'jwt']), /"jwt"/],
    ['no source', () => chooseSources([]), /No source/],
    ['an empty choice', () => chooseSources([fromPath('/t/:tenant')], []), /No source/],
    ['no issuer', () => fromJwt('tid', { issuers: [] }), /no issuer/],
    ['an empty claim', () => fromJwt('', { issuers: [es256] }), /claim/],
    ['an endless skew', () => jwt({ clockSkewSeconds: 3600 }), /clockSkewSeconds/],
    ['a skew that is no number', () => jwt({ clockSkewSeconds: Number.NaN }), /clockSkewSeconds/],
    ['one issuer twice', () => fromJwt('tid', { issuers: [es256, es256] }), /twice/],
    ['no iss and no aud', () => jwt({ issuer: { iss: '', aud: [] } }), /`iss`.*`aud`/],
    ['an empty aud', () => jwt({ issuer: { aud: [aud, ''] } }), /aud/],
    ['no algorithm', () => jwt({ issuer: { algorithms: [] } }), /algorithms/],
    ['alg none', () => jwt({ issuer: { algorithms: ['none' as 'ES256'] } }), /algorithms/],
    ['alg __proto__', () => jwt({ issuer: { algorithms: ['__proto__' as 'ES256'] } }), /algorithms/],
    ['a secret’s algorithm with a key', () => jwt({ issuer: { algorithms: ['ES256', 'HS256'] } }), /public key/],
    ['two keys', () => jwt({ issuer: { secret } }), /exactly one/],
    [
      'an RSA key of 1,024 bits',
      () => jwt({ issuer: { algorithms: ['RS256'], key: pem(weakRsa.publicKey) } }),
      /too short/
    ],
    ['no key', () => jwt({ issuer: { key: undefined } as object }), /exactly one/],
    ['a key of another curve', () => jwt({ issuer: { key: pem(p384.publicKey) } }), /ES256/],
    [
      'a private key',
      () => jwt({ issuer: { key: p256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() } }),
      /no public key/
    ],
    ['text before a key', () => jwt({ issuer: { key: `key: ${pem(p256.publicKey)}` } }), /no public key/],
    ['keys over plain http', () => jwt({ issuer: { key: undefined, jwksUrl: 'http://id.test/k' } as object }), /https/],
    ['keys from a file', () => jwt({ issuer: { key: undefined, jwksUrl: 'file:///etc/passwd' } as object }), /https/],
    [
      'keys with a password',
      () => jwt({ issuer: { key: undefined, jwksUrl: 'https://a:b@id.test' } as object }),
      /https/
    ]
  ]
  const withSecret =
    (text: string, ...algorithms: Algorithm[]) =>
    () =>
      jwt({ issuer: { key: undefined, algorithms, secret: text } as object })
  rows.push(
    ['an empty secret', withSecret('', 'HS256'), /32 bytes/],
    ['a secret of spaces', withSecret(' '.repeat(64), 'HS256'), /32 bytes/],
    ['a short secret', withSecret('s'.repeat(31), 'HS256'), /32 bytes/],
    ['a short secret for HS512', withSecret('s'.repeat(63), 'HS256', 'HS512'), /64 bytes/],
    ['a secret with a line end', withSecret(`${secret}\n`, 'HS256'), /white space/],
    ['a secret with a byte order mark', withSecret(`\ufeff${secret}`, 'HS256'), /white space/],
    ['a public key as secret', withSecret(`text ${pem(rsa.publicKey).trim()}`, 'HS256'), /public key/],
    ['a JWK as secret', withSecret(JSON.stringify(jwk(rsa.publicKey, {})), 'HS256'), /public key/]
  )
  for (const [what, configure, told] of rows) {
    try {
      configure()
      t.fail(what)
    } catch (error) {
      t.ok(
        error instanceof SaasctlError && error.code === 'ROUTER_CONFIG' && told.test(error.message),
        `${what}: ${error}`
      )
      t.notOk(String(error).includes(secret), 'and the secret is not in the message')
    }
  }
  t.doesNotThrow(
    () => jwt({ issuer: { key: undefined, jwksUrl: 'http://[::1]:9/k' } as object }),
    'this machine needs no TLS'
  )
})

interface Facts {
  headers?: ReadonlyArray<readonly [string, string]>
  host?: string
  url?: string
  peer?: string
  certified?: boolean
  user?: unknown
}

function facts({
  headers = [],
  host = '',
  url = '/',
  peer = '203.0.113.9',
  certified = false,
  user
}: Facts): RequestFacts {
  const rawHeaders = [...(host === '' ? [] : [['Host', host]]), ...headers].flat()
  return { rawHeaders, forwardedHost: undefined, url, peer, certified, user, request: {} as RequestFacts['request'] }
}

/** `slug acme`, or the reason of a refusal. */
function shown(said: Said | Promise<Said>): string | undefined {
  if (said instanceof Promise) throw new Error('A promise where an answer was expected.')
  if (said === undefined) return undefined
  return said instanceof Refusal ? said.reason : `${said.by} ${said.value}`
}

function fail(error = new Error('broken')): never {
  throw error
}
