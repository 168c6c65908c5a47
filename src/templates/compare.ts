import type { Difference, SchemaFact } from '../engines/engine.js'

/** What differs between two schemas, thing by thing, in the order of kinds and names. Pure. */
export function compareFacts(expected: readonly SchemaFact[], found: readonly SchemaFact[]): Difference[] {
  const key = ({ kind, name }: SchemaFact) => `${kind}\n${name}`
  const wanted = new Map(expected.map(fact => [key(fact), fact]))
  const present = new Map(found.map(fact => [key(fact), fact]))
  const differences: Difference[] = []
  for (const at of [...new Set([...wanted.keys(), ...present.keys()])].sort()) {
    const [want, have] = [wanted.get(at), present.get(at)]
    const { kind, name } = want ?? have ?? { kind: '', name: '' }
    if (want?.definition === have?.definition) continue
    differences.push({ kind, name, expected: want?.definition ?? null, found: have?.definition ?? null })
  }
  return differences
}

/** A difference in one line: what it is about, and both sides where both are there. */
export function tellDifference({ kind, name, expected, found }: Difference): string {
  if (found === null) return `missing ${kind} ${name}: ${expected}`
  if (expected === null) return `extra ${kind} ${name}: ${found}`
  return `changed ${kind} ${name}: is ${found}, should be ${expected}`
}
