import { SaasctlError } from '../errors.js'

/** For a query that the server refused because it would have changed something, with the server's own words. */
export const onlyReads = (said: string): SaasctlError =>
  new SaasctlError('INVALID_INPUT', `A query may only read, and this one would change something: ${said}.`, {
    hint: 'Give one SELECT. What is there is changed by a migration, or by the application.'
  })
