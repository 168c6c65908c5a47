import type { AddressInfo } from 'node:net'
import { loadConfig } from '../../src/config.js'
import { routedApp } from './routed-app.js'

/** An application whose handlers forget to await, in a process of its own. Prints its port, and logs to stderr. */
const app = await routedApp(
  { teardown: () => {} },
  {
    config: loadConfig(),
    server: { logger: { level: 'warn', stream: process.stderr } },
    routes: app => {
      app.get('/forget', { config: { tenant: 'host' } }, request => {
        void request.tenantDb().then(db => db.query('select pg_sleep(60)'))
        return 'answered'
      })
      app.get('/late', { config: { tenant: 'host' } }, request => {
        void request.tenantDb().then(async db => {
          await new Promise(resolve => setTimeout(resolve, 20))
          return db.query('select 1')
        })
        return 'answered'
      })
      app.get('/bug', { config: { tenant: 'host' } }, () => {
        void Promise.reject(new Error('a bug of the application'))
        return 'answered'
      })
      app.get('/ok', { config: { tenant: 'host' } }, async request =>
        (await request.tenantDb()).query('select 1 as one')
      )
    }
  }
)
await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${(app.server.address() as AddressInfo).port}\n`)
