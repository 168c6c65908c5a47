import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import fastify, { type FastifyInstance } from 'fastify'
import { exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { fromJwt, fromSubdomain, logging, type RouterOptions, router } from '../src/router.js'
import { controlPlane } from '../test/support/control-plane.js'
import { customers, makeTenants, routerConfig } from '../test/support/routed-app.js'
import { alternate } from './support/measure.js'
import { figure, note } from './support/report.js'

// What it costs an empty guarded route (host and ES256 token, tenant known) to be watched: the server's thread is full, the
// client is another one. No tracing SDK is there, as in an application that has switched it on and off again elsewhere.
const requests = Number(process.argv[2] ?? 6000)
const connections = 32
const slugs = Array.from({ length: 8 }, (_, index) => `tenant-${index}`)
const [iss, aud] = ['https://id.saas.test', 'https://api.saas.test']

const plane = await controlPlane()
const client = new Worker(new URL('./support/http-client.js', import.meta.url))
const apps: FastifyInstance[] = []
try {
  await makeTenants(plane, slugs)
  const config = await routerConfig(plane)
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const key = await exportSPKI(publicKey)
  const messages = await Promise.all(
    slugs.map(async slug => {
      const token = await new SignJWT({ tid: slug, sub: `user of ${slug}` })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(iss)
        .setAudience(aud)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey)
      return `GET /empty HTTP/1.1\r\nHost: ${slug}.saas.test\r\nAuthorization: Bearer ${token}\r\nConnection: keep-alive\r\n\r\n`
    })
  )

  const app = async (options: Partial<RouterOptions> | undefined, server: object = {}) => {
    const made = fastify(server)
    apps.push(made)
    const resolve = [
      fromJwt('tid', { issuers: [{ iss, aud, algorithms: ['ES256'], key }] }),
      fromSubdomain('saas.test')
    ]
    if (options) await made.register(router, { config, entities: [customers], resolve, ...options })
    made.get('/empty', (_request, reply) => {
      reply.send({ ok: true })
    })
    await made.listen({ port: 0, host: '127.0.0.1' })
    const { port } = made.server.address() as AddressInfo
    return async () => {
      client.postMessage({ port, messages, connections, requests })
      const [answer] = await once(client, 'message')
      if (answer !== 'done') throw new Error(String(answer))
    }
  }
  const silent = () => {
    const { logger, ...options } = logging('bench')
    const stream = new Writable({ write: (_chunk, _encoding, done) => done() })
    return { ...options, logger: { ...(logger as object), stream } }
  }
  const { empty, bare, metrics, tracing, logged, loggedEmpty } = await alternate(
    {
      empty: await app(undefined),
      bare: await app({}),
      metrics: await app({ metrics: true }),
      tracing: await app({ tracing: true }),
      loggedEmpty: await app(undefined, silent()),
      logged: await app({}, silent())
    },
    { rounds: 15, warmUp: 3 }
  )
  const each = (ms: number) => `${((ms * 1000) / requests).toFixed(1)} µs a request`
  const target = { atLeast: 0.95 }
  const against = `the guarded route alone, ${each(bare.median)}`
  figure({
    what: 'the guarded route, unwatched',
    measured: each(bare.median),
    against: `the empty route, ${each(empty.median)}`,
    ratio: empty.median / bare.median
  })
  figure({
    what: 'with metrics',
    measured: each(metrics.median),
    against,
    ratio: bare.median / metrics.median,
    target
  })
  figure({
    what: 'with tracing and no SDK',
    measured: each(tracing.median),
    against,
    ratio: bare.median / tracing.median,
    target
  })
  figure({
    what: 'with two log lines that say whose they are',
    measured: each(logged.median),
    against: `the empty route with two lines, ${each(loggedEmpty.median)}`,
    ratio: loggedEmpty.median / logged.median
  })
  note(`the tenant in the log costs ${each(logged.median - loggedEmpty.median - (bare.median - empty.median))}`)
} finally {
  await client.terminate()
  await Promise.all(apps.map(app => app.close()))
  await plane.close()
}
