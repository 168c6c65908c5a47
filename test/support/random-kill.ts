import { setTimeout as sleep } from 'node:timers/promises'
import { kinds } from '../../src/kinds.js'
import { startVerb } from './child.js'
import { fleetAudit } from './fleet-audit.js'
import type { KillStage } from './kill-and-recover.js'
import { scenes } from './scenes.js'
import { settle } from './settle.js'
import { withWorker } from './take-over.js'
import { doVerb } from './verbs.js'

/** Numbers from 0 up to 1, the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface RandomKill {
  /** What was done to whom and when, for whoever has to look into it. */
  story: string
  /** Whether there was something to kill: it had not ended by itself before. */
  hit: boolean
  findings: string[]
}

/** The verbs take from 15 to 400 ms once the control plane is open: early is often, and a few shall come too late. */
const longestMs = 420

/**
 * Kills a process that is at some operation, or its server, at any moment at all; lets the next command or a worker go on;
 * and looks at the whole fleet.
 */
export async function randomKill(stage: KillStage, random: () => number): Promise<RandomKill> {
  const { plane, saasctl } = stage
  const pick = <T>(choices: T[]) => choices[Math.floor(random() * choices.length)] as T
  const kind = pick(kinds.names)
  const after = Math.round(random() ** 2 * longestMs)
  const victim = victimOf(stage, random())
  const successor = random() < 0.25 ? 'worker' : 'next process'
  const story = `${kind}, the ${victim} killed after ${after} ms, finished by the ${successor}`

  const { verb, argument, mends } = await (scenes[kind]?.(stage) ?? Promise.reject(new Error(`No scene: ${kind}.`)))
  const child = startVerb(plane.env, verb, argument)
  await child.says(({ opened }) => opened === true)
  await sleep(after)
  if (victim !== 'process') {
    const server = victim === 'MariaDB' && stage.mysql ? stage.mysql : plane.server
    server.kill('SIGKILL')
    await server.restart()
    stage.serverKilled = true
  }
  child.kill('SIGKILL')
  const { signal } = await child.ended
  await untilBack(stage)
  if (successor === 'worker') await withWorker(await plane.another(), () => untilNothingIsOpen(stage))
  await settle(saasctl)
  if (mends) await doVerb(saasctl, verb, argument)
  const findings = await fleetAudit(plane, { mysql: stage.mysql, folders: !stage.serverKilled })
  return { story, hit: signal === 'SIGKILL', findings }
}

/** The process mostly; where the tenants have a server of their own, that one as often. */
function victimOf({ mysql }: KillStage, chance: number): 'process' | 'server' | 'MariaDB' {
  if (chance < 0.1) return 'server'
  return mysql && chance < 0.5 ? 'MariaDB' : 'process'
}

/** The first questions after a restart may meet connections that died with the server. */
async function untilBack({ saasctl }: KillStage): Promise<void> {
  while (!(await saasctl.catalog.query('select').catch(() => undefined))) await sleep(20)
}

async function untilNothingIsOpen({ saasctl }: KillStage): Promise<void> {
  const open = `select kind, status, owner, epoch, next_at, error from saasctl.operation
    where status in ('queued', 'running', 'waiting', 'undoing')`
  for (const until = performance.now() + 60_000; ; await sleep(20)) {
    const rows = await saasctl.catalog.query(open).catch(() => undefined)
    if (rows?.length === 0) return
    if (performance.now() > until) throw new Error(`The worker did not finish what was open: ${JSON.stringify(rows)}`)
  }
}
