import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'
import fastifyJwt from '@fastify/jwt'
import fastify, { type FastifyInstance } from 'fastify'
import { SignJWT } from 'jose'
import { uuidv7 } from '../src/names.js'
import { agree } from '../src/routing/resolve/agree.js'
import { chooseSources, claimsOf } from '../src/routing/resolve/claims.js'
import { factsOf } from '../src/routing/resolve/facts.js'
import { fromJwt } from '../src/routing/resolve/jwt.js'
import { Refusal } from '../src/routing/resolve/refusal.js'
import { fromSubdomain } from '../src/routing/resolve/subdomain.js'
import { alternate } from './support/measure.js'
import { figure, note } from './support/report.js'

// Requests over keep-alive connections from another thread, no pipelining: the server's thread is what is full. Each of
// 200 tenants sends one ES256 token of its own, as users do for the minutes that it lives.
const tenants = 200
const connections = 32
const requests = 6000

const iss = 'https://id.saas.test'
const aud = 'https://api.saas.test'
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = publicKey.export({ type: 'spki', format: 'pem' }).toString()
const routes = new Map(Array.from({ length: tenants }, (_, index) => [`tenant-${index}`, { tenantId: uuidv7() }]))
const messages = await Promise.all([...routes.keys()].map(slug => message(slug, privateKey)))

async function message(slug: string, privateKey: KeyObject): Promise<string> {
  const token = await new SignJWT({ tid: slug, sub: uuidv7(), scope: 'invoices:read invoices:write projects:read' })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: 'key-1' })
    .setIssuer(iss)
    .setAudience(aud)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)
  const lines = [
    ...['GET /invoices HTTP/1.1', `Host: ${slug}.saas.test`, 'User-Agent: bench', 'Accept: application/json'],
    ...['Accept-Encoding: gzip, br', 'Accept-Language: en', `Authorization: Bearer ${token}`, 'Connection: keep-alive']
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

async function app(guard?: (app: FastifyInstance) => unknown): Promise<FastifyInstance> {
  const made = fastify()
  await guard?.(made)
  made.get('/invoices', (_request, reply) => {
    reply.send({ ok: true })
  })
  await made.listen({ port: 0, host: '127.0.0.1' })
  return made
}

/** The guard without the catalog: host and token must lead to one tenant. */
function guarded(app: FastifyInstance): void {
  const sources = [fromJwt('tid', { issuers: [{ iss, aud, algorithms: ['ES256'], key }] }), fromSubdomain('saas.test')]
  const chosen = chooseSources(sources, { require: ['jwt', 'host'] })
  const decide = (claims: Awaited<ReturnType<typeof claimsOf>>) => {
    const found =
      claims instanceof Refusal
        ? claims
        : agree(
            claims,
            claims.map(({ value }) => routes.get(value))
          )
    return found instanceof Refusal ? new Error(found.detail) : undefined
  }
  app.addHook('onRequest', (request, _reply, done) => {
    const claims = claimsOf(chosen, factsOf(request))
    if (claims instanceof Promise) claims.then(claims => done(decide(claims)), done)
    else done(decide(claims))
  })
}

const verifying = (cache: boolean) => async (app: FastifyInstance) => {
  const verify = {
    algorithms: ['ES256' as const],
    allowedIss: iss,
    allowedAud: aud,
    requiredClaims: ['iss', 'aud', 'exp', 'tid']
  }
  await app.register(fastifyJwt, { secret: { public: key }, verify: { ...verify, cache } })
  app.addHook('onRequest', request => request.jwtVerify())
}

const apps = {
  empty: await app(),
  guard: await app(guarded),
  verify: await app(verifying(false)),
  cached: await app(verifying(true))
}
const client = new Worker(new URL('./support/http-client.js', import.meta.url))
try {
  const load = (app: FastifyInstance) => async () => {
    client.postMessage({ port: (app.server.address() as AddressInfo).port, messages, connections, requests })
    const [answer] = await once(client, 'message')
    if (answer !== 'done') throw new Error(String(answer))
  }
  const { empty, guard, verify, cached } = await alternate(
    { empty: load(apps.empty), guard: load(apps.guard), verify: load(apps.verify), cached: load(apps.cached) },
    { rounds: 15, warmUp: 3 }
  )
  const each = (ms: number) => `${((ms * 1000) / requests).toFixed(1)} µs a request`
  figure({
    what: 'route with host, ES256 token and match',
    measured: each(guard.median),
    against: `the empty route, ${each(empty.median)}`,
    ratio: empty.median / guard.median,
    target: { atLeast: 0.9 }
  })
  figure({
    what: 'the same',
    measured: each(guard.median),
    against: `request.jwtVerify(), ${each(verify.median)}`,
    ratio: verify.median / guard.median,
    target: { atLeast: 1.5 }
  })
  figure({
    what: 'the same',
    measured: each(guard.median),
    against: `request.jwtVerify() with its cache, ${each(cached.median)}`,
    ratio: cached.median / guard.median
  })
  note(
    `the guard itself ${each(guard.median - empty.median)}, jwtVerify with its cache ${each(cached.median - empty.median)}`
  )
} finally {
  await client.terminate()
  await Promise.all(Object.values(apps).map(app => app.close()))
}
