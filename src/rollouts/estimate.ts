import type { Queryable } from '../catalog/catalog.js'
import { groupsLeft, type TargetGroup, type UsualTimes, usualTimes } from '../catalog/rollout-times.js'
import type { EngineName } from '../engines/engine.js'
import type { Rollout } from './lane-work.js'
import type { EngineSchema, Schemas } from './schema.js'
import type { RolloutSettings } from './settings.js'

/**
 * How long the targets would take, soaks between waves included, in milliseconds; null while no time of any of their
 * engine's files is known. Servers are worked side by side: the slowest decides.
 */
export function estimate(
  usual: Map<EngineName, UsualTimes>,
  groups: TargetGroup[],
  schemas: Schemas,
  { perServer, soakMs, waves, canary }: RolloutSettings
): number | null {
  const perServerMs = new Map<string, number>()
  for (const group of groups) {
    const schema = schemas.get(group.engine)
    const times = usual.get(group.engine)
    if (!schema || times?.anyFile == null) return null
    const ms = times.beside + filesBetween(schema, group).reduce((sum, name) => sum + timeOf(times, name), 0)
    perServerMs.set(group.serverId, (perServerMs.get(group.serverId) ?? 0) + ms * group.targets)
  }
  if (perServerMs.size === 0) return null
  const pauses = waves.length - (canary > 0 ? 0 : 1)
  return Math.round(Math.max(...perServerMs.values()) / perServer + soakMs * pauses)
}

const timeOf = ({ files, anyFile }: UsualTimes, name: string) => files.get(name) ?? anyFile ?? 0

/** The files on the way from one migration to the other, in whichever direction. */
export function filesBetween(
  { files }: EngineSchema,
  { before, after }: Pick<TargetGroup, 'before' | 'after'>
): string[] {
  const at = (name: string | null) => files.findIndex(file => file.name === name) + 1
  return files.slice(Math.min(at(before), at(after)), Math.max(at(before), at(after))).map(({ name }) => name)
}

/** What a stored rollout still has before it; its own canary is part of what is known. */
export async function estimateLeft(q: Queryable, rollout: Rollout, schemas: Schemas): Promise<number | null> {
  const [usual, groups] = await Promise.all([
    usualTimes(q, rollout.template, rollout.direction),
    groupsLeft(q, rollout.id)
  ])
  const waves = rollout.settings.waves.slice(rollout.wave)
  return estimate(usual, groups, schemas, { ...rollout.settings, waves, canary: 0 })
}
