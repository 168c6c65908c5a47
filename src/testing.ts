/** For the tests of applications on the router: throwaway tenants, and proof that no request reaches another's data. */
export { assertNoCrossing, type NoCrossing } from './testing/no-crossing.js'
export { type TestTenants, type TestTenantsOptions, testTenants } from './testing/tenants.js'
