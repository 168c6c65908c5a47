import { createTenants } from '../../src/router.js'
import { askTenants } from './ask-tenants.js'

// A router in a process of its own and clients that ask it: `node router-load.js TENANTS CLIENTS MILLISECONDS`, its way in to
// the catalog in its environment. Prints what came of it.
const [tenants = 1, clients = 1, milliseconds = 1_000] = process.argv.slice(2).map(Number)
const router = await createTenants({ entities: [], acquireMs: 10_000 })
const slugs = Array.from({ length: tenants }, (_, index) => `tenant-${index}`)
const next = () => Math.floor(Math.random() * tenants)
const asked = await askTenants(router, { slugs, next, clients, milliseconds })
await router.close(1_000)
console.log(JSON.stringify(asked))
