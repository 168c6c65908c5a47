import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'
import fastifyJwt from '@fastify/jwt'
import fastify, { type FastifyInstance } from 'fastify'
import { SignJWT } from 'jose'
import { fromJwt, fromSubdomain, router } from '../src/router.js'
import { alternate } from './support/measure.js'
import { figure } from './support/report.js'
import { routedPlane } from './support/routed-plane.js'

// The whole door of the plugin, catalog's answer, status, limits and all, on a route that does nothing: against the same
// route without it, and against an application that only verifies the token. `node dist/bench/routing-guard.js 500 3` takes
// seconds.
const requests = Number(process.argv[2] ?? 6_000)
const tenants = Number(process.argv[3] ?? 50)
const connections = 32
const [iss, aud] = ['https://id.saas.test', 'https://api.saas.test']
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = publicKey.export({ type: 'spki', format: 'pem' }).toString()

const plane = await routedPlane(tenants)
const messages = await Promise.all(plane.slugs.map(message))
const client = new Worker(new URL('support/http-client.js', import.meta.url))

async function message(slug: string): Promise<string> {
  const token = await new SignJWT({ tid: slug, sub: 'user' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(iss ?? '')
    .setAudience(aud ?? '')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)
  const lines = [
    'GET /invoices HTTP/1.1',
    `Host: ${slug}.saas.test`,
    `Authorization: Bearer ${token}`,
    'Connection: keep-alive'
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

async function app(guard: (app: FastifyInstance) => unknown): Promise<FastifyInstance> {
  const made = fastify()
  await guard(made)
  made.get('/invoices', (_request, reply) => {
    reply.send({ ok: true })
  })
  await made.listen({ port: 0, host: '127.0.0.1' })
  return made
}

const load = async (app: FastifyInstance) => {
  client.postMessage({ port: (app.server.address() as AddressInfo).port, messages, connections, requests })
  const [said] = await once(client, 'message')
  if (said !== 'done') throw new Error(said)
}

const resolve = [fromJwt('tid', { issuers: [{ iss, aud, algorithms: ['ES256'], key }] }), fromSubdomain('saas.test')]
const apps = {
  empty: await app(() => {}),
  guarded: await app(app => app.register(router, { config: plane.routerConfig, entities: [], resolve })),
  measured: await app(app =>
    app.register(router, { config: plane.routerConfig, entities: [], resolve, metrics: true })
  ),
  verified: await app(async app => {
    await app.register(fastifyJwt, {
      secret: { public: key },
      verify: { algorithms: ['ES256'], allowedIss: iss, allowedAud: aud }
    })
    app.addHook('onRequest', request => request.jwtVerify())
  })
}
try {
  const { empty, guarded, measured, verified } = await alternate(
    {
      empty: () => load(apps.empty),
      guarded: () => load(apps.guarded),
      measured: () => load(apps.measured),
      verified: () => load(apps.verified)
    },
    { rounds: 15, warmUp: 3 }
  )
  const each = (value: number) => `${((value / requests) * 1000).toFixed(1)} µs a request`
  figure({
    what: 'a route with the full guard',
    measured: each(guarded.median),
    against: `the empty route, ${each(empty.median)}`,
    ratio: empty.median / guarded.median,
    target: { atLeast: 0.9 }
  })
  figure({
    what: 'the same',
    measured: each(guarded.median),
    against: `request.jwtVerify(), ${each(verified.median)}`,
    ratio: verified.median / guarded.median,
    target: { atLeast: 1.5 }
  })
  figure({
    what: 'with metrics',
    measured: each(measured.median),
    against: `the empty route, ${each(empty.median)}`,
    ratio: empty.median / measured.median
  })
} finally {
  await client.terminate()
  for (const app of Object.values(apps)) await app.close()
  await plane.close()
}
