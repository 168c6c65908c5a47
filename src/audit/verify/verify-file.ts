import type { CheckpointFile } from '../checkpoint-file.js'
import { readTrail } from '../export.js'
import { checkAlone } from './checkpoints.js'
import type { TrustedKey } from './keys.js'
import type { Verified } from './verify.js'
import { ENOUGH, Walk } from './walk.js'

/**
 * Checks an exported trail without catalog or network. What its last events were is proven by a checkpoint alone: without
 * one, a file that leaves the last events off looks whole.
 */
export async function verifyFile(
  path: string,
  { keys, kept }: { keys: readonly TrustedKey[]; kept?: CheckpointFile | undefined }
): Promise<Verified> {
  const alone = kept && checkAlone(kept.row, keys)
  const walk = new Walk({ kept })
  await walk.begin()
  for await (const event of readTrail(path)) {
    const comparing = walk.step({ ...event, signed: null, head: event.hash })
    if (comparing) await comparing
  }
  const findings = [...(alone ? [alone] : []), ...(await walk.end())].slice(0, ENOUGH)
  const proven = kept?.heads && findings.length === 0 ? kept.row : undefined
  return {
    findings,
    events: walk.events,
    chains: walk.chains,
    checkpoints: kept ? 1 : 0,
    unsigned: walk.unsigned,
    upTo: proven ? { number: proven.number, at: proven.at, keyId: proven.keyId } : null,
    signer: keys.length > 0 ? 'trusted' : 'unknown'
  }
}
