import type { Queryable } from '../../catalog/catalog.js'
import { findCheckpoint } from '../../catalog/checkpoints.js'
import type { ChainHead, TrailEvent } from '../../catalog/trail.js'
import { readBody } from '../checkpoint.js'
import type { CheckpointFile } from '../checkpoint-file.js'
import { MerkleTree } from '../merkle.js'
import { checkAlone } from './checkpoints.js'
import { finding, placeOf, type TrailFinding } from './finding.js'
import type { TrustedKey } from './keys.js'

/** What a checkpoint kept elsewhere says against the catalog's own: whoever can write the catalog cannot write that one. */
export async function checkAgainst(
  q: Queryable,
  { row }: CheckpointFile,
  keys: readonly TrustedKey[]
): Promise<TrailFinding | undefined> {
  const alone = checkAlone(row, keys)
  if (alone) return { ...alone, message: `In the file: ${alone.message}` }
  const kept = await findCheckpoint(q, row.number)
  const place = `checkpoint ${row.number}`
  if (!kept) {
    const newest = (await findCheckpoint(q))?.number ?? 0
    return finding(
      'catalog.rewound',
      place,
      `The catalog ends at checkpoint ${newest}, the file is checkpoint ${row.number}: the catalog is older than the file, or another.`
    )
  }
  if (kept.body === row.body) return undefined
  const [mine, theirs] = [readBody(row.body)?.catalog, readBody(kept.body)?.catalog]
  const why = mine === theirs ? 'its history was written anew' : 'it was restored since, or is another catalog'
  return finding('checkpoint.other', place, `The catalog's ${place} is not the one in the file: ${why}.`)
}

/** Walks the heads of a checkpoint beside the events, both in the order of bytes; the file is read once. */
export class HeadsBeside {
  readonly #heads: AsyncIterator<ChainHead>
  readonly #tree = new MerkleTree()
  readonly #number: number
  #next: ChainHead | undefined

  private constructor(number: number, heads: AsyncIterator<ChainHead>) {
    this.#number = number
    this.#heads = heads
  }

  static async of({ row, heads }: CheckpointFile): Promise<HeadsBeside | undefined> {
    if (!heads) return undefined
    const beside = new HeadsBeside(row.number, heads()[Symbol.asyncIterator]())
    await beside.#advance()
    return beside
  }

  /** Whether the event is one that `check` must be asked about. */
  concerns(event: TrailEvent): boolean {
    const next = this.#next
    if (!next) return false
    return next.chain === event.chain ? next.seq <= event.seq : bytewise(next.chain, event.chain) < 0
  }

  async check(event: TrailEvent): Promise<TrailFinding[]> {
    const found: TrailFinding[] = []
    for (let next = this.#next; next && this.concerns(event); next = this.#next) {
      if (next.chain !== event.chain || next.seq !== event.seq) found.push(this.#lost(next))
      else if (next.hash !== event.hash) found.push(this.#rewritten(next))
      await this.#advance()
    }
    return found
  }

  /** What is left when there are no events any more; and whether these heads are what was signed. */
  async end(root: string | undefined): Promise<TrailFinding[]> {
    const found: TrailFinding[] = []
    for (let next = this.#next; next; next = this.#next) {
      found.push(this.#lost(next))
      await this.#advance()
    }
    if (this.#tree.root() === root) return found
    const place = `checkpoint ${this.#number}`
    return [
      finding('checkpoint.heads', place, `The list of heads beside the file is not the one that ${place} signed.`)
    ]
  }

  #lost(head: ChainHead): TrailFinding {
    return finding(
      'chain.cut',
      placeOf(head),
      `Event ${placeOf(head)} is missing; it was there at checkpoint ${this.#number}.`
    )
  }

  #rewritten(head: ChainHead): TrailFinding {
    return finding(
      'event.rewritten',
      placeOf(head),
      `Event ${placeOf(head)} is another than at checkpoint ${this.#number}.`
    )
  }

  async #advance(): Promise<void> {
    const { value, done } = await this.#heads.next()
    this.#next = done ? undefined : value
    if (this.#next) this.#tree.add(this.#next)
  }
}

function bytewise(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
