import { SaasctlError } from '../errors.js'

/** What a plan lets a tenant's requests do in one router; null is no limit. */
export interface RequestLimits {
  perSecond: number | null
  concurrent: number | null
}

/**
 * Counts one tenant's requests. The bucket holds one second's worth, so that a burst after a pause passes and a flood does
 * not; both refusals are for this tenant alone and say when to come again.
 */
export class Guard {
  #tokens: number
  #filledAt = performance.now()
  #running = 0
  #limits: RequestLimits

  constructor(limits: RequestLimits) {
    this.#limits = limits
    this.#tokens = limits.perSecond ?? 0
  }

  get running(): number {
    return this.#running
  }

  /** A changed plan holds from the next request on. */
  set limits(limits: RequestLimits) {
    if (limits.perSecond !== this.#limits.perSecond) this.#tokens = Math.min(this.#tokens, limits.perSecond ?? 0)
    this.#limits = limits
  }

  /** Lets a request in, or throws TENANT_RATE (429) or TENANT_CROWDED (503). Call `leave` when it is over. */
  enter(): void {
    const { perSecond, concurrent } = this.#limits
    if (concurrent !== null && this.#running >= concurrent) throw crowded(concurrent)
    if (perSecond !== null) this.#take(perSecond)
    this.#running += 1
  }

  leave(): void {
    this.#running -= 1
  }

  #take(perSecond: number): void {
    const now = performance.now()
    this.#tokens = Math.min(perSecond, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond)
    this.#filledAt = now
    if (this.#tokens < 1) throw tooMany(perSecond, Math.ceil((1 - this.#tokens) / perSecond))
    this.#tokens -= 1
  }
}

/** Tenants whose requests are counted at most, besides those that have one under way. */
const REMEMBERED = 10_000

/** The guards of all tenants that were here lately. */
export class Guards {
  readonly #guards = new Map<string, Guard>()

  of(tenantId: string, limits: RequestLimits): Guard {
    const known = this.#guards.get(tenantId)
    if (known) {
      known.limits = limits
      return known
    }
    const guard = new Guard(limits)
    this.#guards.set(tenantId, guard)
    if (this.#guards.size > REMEMBERED) this.#forgetIdle()
    return guard
  }

  /** A tenant without requests under way loses nothing but the second's worth that it had saved up. */
  #forgetIdle(): void {
    for (const [tenantId, { running }] of this.#guards) if (running === 0) this.#guards.delete(tenantId)
  }
}

function tooMany(perSecond: number, retryAfterSeconds: number): SaasctlError {
  return new SaasctlError('TENANT_RATE', `This tenant's plan allows ${perSecond} requests a second.`, {
    hint: 'Send fewer, or come again after the time in Retry-After.',
    data: { retryAfterSeconds },
    retryable: true
  })
}

function crowded(concurrent: number): SaasctlError {
  return new SaasctlError('TENANT_CROWDED', `This tenant's plan allows ${concurrent} requests at the same time.`, {
    hint: 'Wait for one to end.',
    data: { retryAfterSeconds: 1 },
    retryable: true
  })
}
