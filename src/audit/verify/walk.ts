import type { ClaimedEvent } from '../../catalog/trail.js'
import { readBody } from '../checkpoint.js'
import type { CheckpointFile } from '../checkpoint-file.js'
import { ChainCheck } from './chain.js'
import { finding, placeOf, type TrailFinding } from './finding.js'
import { HeadsBeside } from './outside.js'

/** Nobody reads more, of a trail that is broken everywhere. */
export const ENOUGH = 100

export interface WalkOptions {
  /** A checkpoint that was kept elsewhere. */
  kept?: CheckpointFile | undefined
  /** One chain alone is walked. */
  chain?: string | undefined
}

/** What is seen of the trail so far. */
export class Walk {
  events = 0
  chains = 0
  unsigned = 0
  readonly #options: WalkOptions
  readonly #found: TrailFinding[] = []
  #beside: HeadsBeside | undefined
  #check: ChainCheck | undefined
  #last: ClaimedEvent | undefined
  #sinceSigned = 0

  constructor(options: WalkOptions) {
    this.#options = options
  }

  async begin(): Promise<void> {
    const { kept, chain } = this.#options
    // Of one chain alone the heads of all others would look lost.
    this.#beside = kept && chain === undefined ? await HeadsBeside.of(kept) : undefined
  }

  /** Waits only where a head from outside is to be compared: to wait at every event would halve the speed. */
  step(event: ClaimedEvent): Promise<void> | undefined {
    if (this.#check?.chain !== event.chain) {
      this.#endChain()
      this.#check = new ChainCheck(event.chain)
      this.chains += 1
    }
    this.events += 1
    this.#sinceSigned = event.signed ? 0 : this.#sinceSigned + 1
    const found = this.#check.add(event) ?? this.#checkSigned(event, this.#check)
    if (found) this.#say(found)
    this.#last = event
    return this.#beside?.concerns(event) ? this.#besides(this.#beside, event) : undefined
  }

  async end(): Promise<TrailFinding[]> {
    this.#endChain()
    const { kept } = this.#options
    for (const found of (await this.#beside?.end(kept && readBody(kept.row.body)?.root)) ?? []) this.#say(found)
    return this.#found
  }

  async #besides(beside: HeadsBeside, event: ClaimedEvent): Promise<void> {
    for (const found of await beside.check(event)) this.#say(found)
  }

  #checkSigned(event: ClaimedEvent, check: ChainCheck): TrailFinding | undefined {
    if (check.broken || !event.signed || event.signed.hash === event.hash) return undefined
    check.broken = true
    const place = placeOf(event)
    return finding('event.rewritten', place, `Event ${place} is another than at checkpoint ${event.signed.number}.`)
  }

  #endChain(): void {
    const [check, last] = [this.#check, this.#last]
    if (!check || !last) return
    const found = check.end() ?? headFinding(check, last)
    if (found) this.#say(found)
    this.unsigned += this.#sinceSigned
    this.#sinceSigned = 0
  }

  #say(found: TrailFinding): void {
    if (this.#found.length < ENOUGH) this.#found.push(found)
  }
}

function headFinding(check: ChainCheck, last: ClaimedEvent): TrailFinding | undefined {
  if (check.broken || last.head === last.hash) return undefined
  const place = placeOf(last)
  return finding('chain.grown', place, `The chain of ${place} does not end where its head says.`)
}
