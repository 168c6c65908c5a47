import { hash } from 'node:crypto'
import { canonical } from '../canonical.js'
import type { ChainHead } from '../catalog/trail.js'

/**
 * The root of a Merkle tree (RFC 6962 §2.1) over heads that come one after the other, in logarithmic memory. A leaf is the
 * canonical JSON of its head; leaves and nodes are hashed with different first bytes, so that none passes for the other.
 */
export class MerkleTree {
  /** Roots of whole subtrees, largest first. */
  readonly #roots: Array<{ hash: Buffer; size: number }> = []
  size = 0

  add(head: ChainHead): void {
    this.size += 1
    let top = { hash: leaf(head), size: 1 }
    for (let left = this.#roots.at(-1); left?.size === top.size; left = this.#roots.at(-1)) {
      this.#roots.pop()
      top = { hash: node(left.hash, top.hash), size: left.size + top.size }
    }
    this.#roots.push(top)
  }

  /** Hex; of no heads it is the hash of nothing. */
  root(): string {
    const [last, ...others] = this.#roots.toReversed()
    if (!last) return hash('sha256', '')
    return others.reduce((right, left) => node(left.hash, right), last.hash).toString('hex')
  }
}

function leaf({ chain, seq, hash: head }: ChainHead): Buffer {
  return sha256(Buffer.from(`\u0000${canonical({ chain, hash: head, seq })}`))
}

function node(left: Buffer, right: Buffer): Buffer {
  return sha256(Buffer.concat([Buffer.of(1), left, right]))
}

function sha256(bytes: Buffer): Buffer {
  return hash('sha256', bytes, 'buffer')
}

/** The root over heads in pages, and how many there were. */
export async function merkleRoot(pages: AsyncIterable<ChainHead[]>): Promise<{ root: string; chains: number }> {
  const tree = new MerkleTree()
  for await (const heads of pages) for (const head of heads) tree.add(head)
  return { root: tree.root(), chains: tree.size }
}
