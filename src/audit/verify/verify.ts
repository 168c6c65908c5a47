import type { Catalog, Snapshot } from '../../catalog/catalog.js'
import { type CheckpointRow, findCheckpoint, headsAt } from '../../catalog/checkpoints.js'
import { checkpointsBefore, lostHeads, trailOf } from '../../catalog/trail.js'
import { readBody } from '../checkpoint.js'
import type { CheckpointFile } from '../checkpoint-file.js'
import { merkleRoot } from '../merkle.js'
import { checkCheckpoints } from './checkpoints.js'
import { finding, placeOf, type TrailFinding } from './finding.js'
import type { TrustedKey } from './keys.js'
import { checkAgainst } from './outside.js'
import { ENOUGH, Walk } from './walk.js'

export interface VerifyOptions {
  /** Whose signatures count. None: chains are checked, the signer stays unknown. */
  keys: readonly TrustedKey[]
  /** A checkpoint that was kept elsewhere. */
  kept?: CheckpointFile | undefined
  /** This chain alone. */
  chain?: string | undefined
  onProgress?: (events: number) => void
}

export type Reach = Pick<CheckpointRow, 'number' | 'at' | 'keyId'>

export interface Verified {
  findings: TrailFinding[]
  events: number
  chains: number
  checkpoints: number
  /** Events after the last that a checkpoint covers: chained, not signed. */
  unsigned: number
  /** The newest checkpoint up to which nothing was changed; null when that cannot be said of any. */
  upTo: Reach | null
  /** Whether that checkpoint's signature was checked with a trusted key. */
  signer: 'trusted' | 'unknown'
}

/**
 * Walks the whole trail at one moment, in flat memory, and says what was changed behind it, the first position of each
 * chain. Nothing is thrown for what is found.
 */
export async function verifyTrail(catalog: Catalog, options: VerifyOptions): Promise<Verified> {
  return catalog.snapshot(async snapshot => {
    const signed = await checkCheckpoints(snapshot, options.keys)
    const against = options.kept && (await checkAgainst(snapshot, options.kept, options.keys))
    const walk = new Walk(options)
    await walk.begin()
    for await (const events of trailOf(snapshot, options.chain)) {
      for (const event of events) {
        const comparing = walk.step(event)
        if (comparing) await comparing
      }
      options.onProgress?.(walk.events)
    }
    const findings = [...signed.findings, ...(against ? [against] : []), ...(await walk.end())]
    findings.push(...(await lost(snapshot, options.chain, findings)), ...(await checkHeads(snapshot, signed.newest)))
    const upTo = await reach(snapshot, signed.newest, findings)
    return {
      findings: findings.slice(0, ENOUGH),
      events: walk.events,
      chains: walk.chains,
      checkpoints: signed.count,
      unsigned: walk.unsigned,
      upTo,
      signer: options.keys.length > 0 ? 'trusted' : 'unknown'
    }
  })
}

/**
 * The claim: up to the newest checkpoint, or one that was made before the first thing that is wrong. What the catalog keeps of
 * that one must be what it signed, too: whoever writes a chain anew can do so with its head at every checkpoint.
 */
async function reach(
  snapshot: Snapshot,
  newest: CheckpointRow | undefined,
  findings: TrailFinding[]
): Promise<Reach | null> {
  let number = newest?.number ?? 0
  for (const { place } of findings) {
    const [, chain, seq, checkpoint] = /^(?:(.*)#(\d+)|checkpoint (\d+))$/s.exec(place) ?? []
    const before =
      chain === undefined ? Number(checkpoint) - 1 : await checkpointsBefore(snapshot, { chain, seq: Number(seq) })
    number = Math.min(number, before ?? number)
  }
  // In growing steps: there may be years of checkpoints, and each look reads all its heads.
  for (let step = 1; number > 0; number -= step, step *= 2) {
    const row = await findCheckpoint(snapshot, number)
    const known = number === newest?.number && findings.length === 0
    if (row && (known || (await headsHold(snapshot, row)))) return { number: row.number, at: row.at, keyId: row.keyId }
  }
  return null
}

/** Where the newest checkpoint says that chains ended must be what it signed. */
async function checkHeads(snapshot: Snapshot, newest: CheckpointRow | undefined): Promise<TrailFinding[]> {
  if (!newest || (await headsHold(snapshot, newest))) return []
  const place = `checkpoint ${newest.number}`
  return [
    finding('checkpoint.heads', place, `The heads that the catalog keeps of ${place} are not those that it signed.`)
  ]
}

async function headsHold(snapshot: Snapshot, { number, body }: CheckpointRow): Promise<boolean> {
  const said = readBody(body)
  const { root, chains } = await merkleRoot(headsAt(snapshot, number))
  return said?.root === root && said.chains === chains
}

/** Heads whose event is gone, in chains of which nothing is said yet. */
async function lost(snapshot: Snapshot, chain: string | undefined, said: TrailFinding[]): Promise<TrailFinding[]> {
  const known = new Set(said.map(({ place }) => place.replace(/#\d+$/, '')))
  const found: TrailFinding[] = []
  for (const head of await lostHeads(snapshot, chain)) {
    if (known.has(head.chain)) continue
    known.add(head.chain)
    const when = head.number === null ? 'the chain ends with it' : `it was there at checkpoint ${head.number}`
    found.push(finding('chain.cut', placeOf(head), `Event ${placeOf(head)} is missing; ${when}.`))
  }
  return found
}
