import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { PaceName } from './pace.js'

/** How far a rollout has come at the end of a wave: a share of all its targets, or a number of them. */
export type WaveEnd = { percent: number } | { count: number }

/** What must hold between two waves. */
export type Gate =
  /** A program of the worker's machine, run by its shell; passes when it exits with 0. */
  | { kind: 'command'; run: string }
  /** Passes on an answer of 2xx to a GET. */
  | { kind: 'http'; url: string }
  /** One query in every tenant of the wave, as its read-only login; passes when the first column of its only row is true. */
  | { kind: 'sql'; query: string }

export interface Brakes {
  /** Stop when so many targets have failed; null for no such brake. */
  failures: number | null
  /** Stop when this share of the targets worked so far has failed, once ten are over. */
  percent: number | null
  /** Stop when so many in a row have failed. */
  consecutive: number | null
}

export interface RolloutSettings {
  /** Targets of the first wave, before those of `waves`. */
  canary: number
  waves: WaveEnd[]
  /** How long nothing happens after a wave, so that its trouble can show. */
  soakMs: number
  gates: Gate[]
  brakes: Brakes
  /** Databases of one server that are migrated at once, and of all servers together, at most. */
  perServer: number
  total: number
  /** Whether fewer are while a server answers slower; `calm` for rollouts that were planned before there was a choice. */
  pace?: PaceName
  /** How often a target is tried when it failed with something that may pass. */
  tries: number
  /** Codes of findings that do not stop it. */
  allow: string[]
}

export const usualSettings: RolloutSettings = {
  canary: 0,
  waves: [{ percent: 100 }],
  soakMs: 0,
  gates: [],
  brakes: { failures: null, percent: 5, consecutive: 5 },
  perServer: 4,
  total: 16,
  pace: 'calm',
  tries: 5,
  allow: []
}

/** `10%` or `25`; INVALID_INPUT for anything else. */
export function parseWaveEnd(text: string): WaveEnd {
  const [, digits = '', percent] = /^(\d{1,7})(%?)$/.exec(text.trim()) ?? []
  const value = Number(digits)
  if (digits === '' || value === 0 || (percent && value > 100)) {
    throw new SaasctlError(
      'INVALID_INPUT',
      `${quoteInput(text)} is no wave: it must be a share or a number of tenants.`,
      {
        hint: 'As in --waves 10%,50%,100% or --waves 20,200.'
      }
    )
  }
  return percent ? { percent: value } : { count: value }
}

/** INVALID_INPUT for an end that is not behind the one before it: its wave would have nobody. */
export function checkWaves({ waves }: Pick<RolloutSettings, 'waves'>): void {
  for (const [index, end] of waves.entries()) {
    const before = waves[index - 1]
    if (before === undefined || 'count' in end !== 'count' in before || reach(end) > reach(before)) continue
    throw new SaasctlError(
      'INVALID_INPUT',
      `The wave to ${nameOf(end)} does not go beyond the one to ${nameOf(before)}.`,
      {
        hint: 'Each names how far the rollout has come when it is over, as in --waves 10%,50%,100%.'
      }
    )
  }
}

const reach = (end: WaveEnd) => ('count' in end ? end.count : end.percent)
const nameOf = (end: WaveEnd) => ('count' in end ? String(end.count) : `${end.percent}%`)

export interface Wave {
  name: string
  size: number
}

/** Cuts so many targets into waves; one that would be empty is left out. The last takes whatever is left. */
export function cutWaves({ canary, waves }: RolloutSettings, targets: number): Wave[] {
  const ends = waves.map(end => ('count' in end ? end.count : Math.ceil((targets * end.percent) / 100)))
  const names = waves.map(nameOf)
  const cut: Wave[] = []
  let at = 0
  const add = (name: string, end: number) => {
    const size = Math.min(end, targets) - at
    if (size <= 0) return
    cut.push({ name, size })
    at += size
  }
  add('canary', canary)
  for (const [index, end] of ends.entries()) add(names[index] ?? '', end)
  add('100%', targets)
  return cut
}
