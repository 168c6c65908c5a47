import { testTenants } from '../../src/testing.js'

/** A test that fails before it closes what it has started. */
const tenants = await testTenants({ template: 'standard', tenants: 1 })
process.stdout.write(`${tenants.slugs.join()}\n`, () => process.exit(3))
