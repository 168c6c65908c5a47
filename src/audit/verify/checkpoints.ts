import type { Queryable } from '../../catalog/catalog.js'
import { type CheckpointRow, listCheckpoints } from '../../catalog/checkpoints.js'
import { bodyHash, readBody } from '../checkpoint.js'
import { finding, type TrailFinding } from './finding.js'
import { checkSignature, type TrustedKey } from './keys.js'

export interface CheckedCheckpoints {
  newest: CheckpointRow | undefined
  count: number
  findings: TrailFinding[]
}

/** All checkpoints of the catalog, each against the one before it. They are checked to the first that is wrong. */
export async function checkCheckpoints(q: Queryable, keys: readonly TrustedKey[]): Promise<CheckedCheckpoints> {
  let before: CheckpointRow | undefined
  let count = 0
  for (let after = 0; ; ) {
    const page = await listCheckpoints(q, { after, limit: 1000 })
    for (const row of page) {
      const found = checkCheckpoint(row, before, keys)
      if (found) return { newest: before, count, findings: [found] }
      before = row
      count += 1
    }
    const last = page.at(-1)
    if (!last) return { newest: before, count, findings: [] }
    after = last.number
  }
}

function checkCheckpoint(
  row: CheckpointRow,
  before: CheckpointRow | undefined,
  keys: readonly TrustedKey[]
): TrailFinding | undefined {
  const expected = (before?.number ?? 0) + 1
  if (row.number !== expected) {
    return finding('checkpoint.missing', `checkpoint ${expected}`, `The checkpoint ${expected} is missing.`)
  }
  return checkAlone(row, keys) ?? checkSuccession(row, before)
}

/** What can be said of one without any other: its form, its own number, its signature. */
export function checkAlone(row: CheckpointRow, keys: readonly TrustedKey[]): TrailFinding | undefined {
  const place = `checkpoint ${row.number}`
  const said = readBody(row.body)
  if (!said) return finding('checkpoint.edited', place, `The ${place} is not in the form in which they are written.`)
  if (said.number !== row.number) {
    return finding('checkpoint.replayed', place, `In the place of ${place} stands checkpoint ${said.number}.`)
  }
  if (said.keyId !== row.keyId || Date.parse(said.at) !== row.at.getTime()) {
    return finding('checkpoint.edited', place, `The ${place} says something else in its body than beside it.`)
  }
  return checkSignature(row, keys)
}

function checkSuccession(row: CheckpointRow, before: CheckpointRow | undefined): TrailFinding | undefined {
  const place = `checkpoint ${row.number}`
  const prev = before ? bodyHash(before.body) : null
  if (readBody(row.body)?.prev !== prev) {
    return finding(
      'checkpoint.other',
      place,
      `The ${place} was not made after the one before it: one of the two is another.`
    )
  }
  if (before && row.at < before.at) return finding('clock.back', place, `The ${place} is older than the one before it.`)
  return undefined
}
