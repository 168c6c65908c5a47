import type { SourceName } from './claim.js'

interface About {
  /** What the caller is answered: 404 in one body for all that says "not for you", 503 and 500 for what is our own fault. */
  readonly status: 404 | 500 | 503
  /** No honest client does this: worth a (capped) security event. */
  readonly alarming: boolean
  readonly about: string
}

const about = (status: About['status'], alarming: boolean, about: string): About => ({ status, alarming, about })

/** Why a request leads to no tenant. For logs, security events and `onRefused`; outside they look alike. */
export const reasons = {
  absent: about(404, false, 'No source that must name the tenant did so.'),
  malformed: about(404, true, 'What names the tenant is not in its one allowed form.'),
  unverified: about(404, true, 'The token was not made by a known issuer, for this audience and this purpose.'),
  expired: about(404, false, 'The token is not valid any more, or not yet.'),
  untrusted: about(404, true, 'The header came from a caller that was not declared trusted.'),
  disagree: about(404, true, 'Two sources name different tenants.'),
  unknown: about(404, false, 'There is no such tenant.'),
  unavailable: about(503, false, 'The issuer’s keys cannot be read, and those that are known are too old.'),
  failed: about(500, false, 'The application’s own code for naming tenants failed.')
} as const satisfies Record<string, About>

export type Reason = keyof typeof reasons

/** The answer of a source, or of sources together, that leads nowhere. A value, not an error: refusing is daily work. */
export class Refusal {
  readonly reason: Reason
  /** Which source; undefined when it is about several. */
  readonly source: SourceName | undefined
  /** One sentence for the log: foreign input quoted and cut, never a token. */
  readonly detail: string
  readonly cause: unknown

  constructor(reason: Reason, source: SourceName | undefined, detail: string, cause?: unknown) {
    this.reason = reason
    this.source = source
    this.detail = detail
    this.cause = cause
  }

  get status(): About['status'] {
    return reasons[this.reason].status
  }

  get alarming(): boolean {
    return reasons[this.reason].alarming
  }
}
