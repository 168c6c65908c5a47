import type { Routed } from './lookup.js'

/** Remembers what was said to have changed while anything is being loaded: what was asked for before that is late. */
export class Told {
  /** Counts changes. */
  changes = 0
  readonly #said = new Map<string, { change: number; revision: number }>()
  #loads = 0

  /** The tenant has this revision now; 0 when only that it changed. */
  tenant(tenantId: string, revision: number): void {
    this.#say(tenantId, revision)
  }

  /** The plan's contents changed. */
  plan(name: string): void {
    this.#say(planNamed(name), 0)
  }

  /** A load begins; the function is to be called when it is over. */
  loading(): () => void {
    this.#loads += 1
    return () => {
      this.#loads -= 1
      if (this.#loads === 0) this.#said.clear()
    }
  }

  /** Whether anybody has told of something newer since the change of this number. */
  since(change: number, route: Routed): boolean {
    return [route.tenantId, planNamed(route.plan)].some(subject => {
      const said = this.#said.get(subject)
      return said !== undefined && said.change > change && (said.revision === 0 || said.revision > route.revision)
    })
  }

  #say(subject: string, revision: number): void {
    this.changes += 1
    if (this.#loads > 0) this.#said.set(subject, { change: this.changes, revision })
  }
}

/** No tenant's id has a space in it. */
function planNamed(plan: string): string {
  return `plan ${plan}`
}

/** A plan counts its own changes; between two plans of one tenant the tenant's revision has grown. */
export function isOlder(one: Routed, other: Routed): boolean {
  if (one.revision !== other.revision) return one.revision < other.revision
  return one.plan === other.plan && one.planRevision < other.planRevision
}
