import { SaasctlError } from '../../errors.js'

/** The application's own mistake, told when it starts and not at a tenant's first request. All problems at once. */
export function unusable(...problems: string[]): SaasctlError {
  return new SaasctlError('ROUTER_CONFIG', problems.join(' '), {
    hint: 'Mend the options of the router’s sources; nothing was started.'
  })
}

/** Checks a duration or size that a person wrote. */
export function bounded(what: string, value: number, least: number, most: number): string[] {
  if (Number.isFinite(value) && value >= least && value <= most) return []
  return [`${what} is ${value}; it must be a number from ${least} to ${most}.`]
}
