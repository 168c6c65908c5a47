import { testTenants } from '../../src/testing.js'

/** A test that fails before it closes what it has started; with `stay` it goes on until it is killed. */
const { stay, keep } = process.env
const wish = keep === undefined ? { tenants: 1 } : { tenants: ['acme'], keepIn: keep }
const tenants = await testTenants({ template: 'standard', ...wish })
process.stdout.write(`${tenants.slugs.join()}\n`, () => {
  if (stay === undefined) process.exit(3)
})
if (stay !== undefined) setInterval(() => {}, 60_000)
