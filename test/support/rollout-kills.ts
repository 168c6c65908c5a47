import { setTimeout as sleep } from 'node:timers/promises'
import { rolloutById } from '../../src/catalog/rollouts.js'
import { createTenant } from '../../src/tenants/create.js'
import { type Child, startWorkerProcess } from './child.js'
import { fleetAudit } from './fleet-audit.js'
import { startedRollout, targetStates } from './rollout-fleet.js'
import { settle } from './settle.js'
import type { TwoServers } from './two-servers.js'

/** So many tenants of the tiny template, named after their number. */
export async function fillFleet({ plane }: Pick<TwoServers, 'plane'>, tenants: number): Promise<void> {
  for (let n = 0; n < tenants; n += 1) {
    await createTenant(plane.saasctl, { slug: `tenant-${n}`, plan: 'small' }, { template: 'tiny' }, { wait: true })
  }
}

const MOST_KILLS = 20

export interface RolloutKills {
  kills: number
  findings: string[]
}

/**
 * Rolls a migration out with several workers, one of which is killed at a random moment and replaced, again and again until
 * the rollout is over. What must be true then: everybody has it, each was told of it once, and the fleet is whole.
 */
export async function rolloutWithKills(
  stage: TwoServers,
  random: () => number,
  { workers: count, longestMs }: { workers: number; longestMs: number }
): Promise<RolloutKills> {
  const { plane, tenants, template } = stage
  const { saasctl } = plane
  await template.grow({ up: 'select pg_sleep(0.1);', down: 'select 1;' })
  const start = () => startWorkerProcess({ ...plane.env, SAASCTL_CONCURRENCY: '2' })
  const workers: Child[] = Array.from({ length: count }, start)
  const id = await startedRollout(saasctl, { canary: 2, perServer: 2 }, { wholeFleet: false })
  let kills = 0
  try {
    for (const until = performance.now() + 60_000; ; ) {
      await sleep(random() * longestMs)
      const rollout = await rolloutById(saasctl.catalog, id)
      if (rollout?.status !== 'running') break
      if (performance.now() > until)
        throw new Error(`It did not end: ${JSON.stringify(await targetStates(saasctl, id))}`)
      // On a machine that is busy with other things a worker takes longer to start than it is left to live here.
      if (kills === MOST_KILLS) continue
      const victim = Math.floor(random() * count)
      workers[victim]?.kill('SIGKILL')
      workers[victim] = start()
      kills += 1
    }
  } finally {
    for (const worker of workers) worker.kill('SIGKILL')
    await Promise.all(workers.map(worker => worker.ended))
  }
  await settle(saasctl)
  const findings = await fleetAudit(plane, { servers: [tenants] })
  const rollout = await rolloutById(saasctl.catalog, id)
  if (rollout?.status !== 'succeeded') findings.push(`The rollout ended as ${rollout?.status}: ${rollout?.reason}`)
  const told = await saasctl.catalog.query<{ slug: string; n: number }>(
    `select n.slug, count(p.seq)::int as n from saasctl.rollout_target t
     join saasctl.tenant n on n.id = t.tenant_id
     left join saasctl.audit_payload p on p.chain = 'tenant:' || t.tenant_id and p.payload::jsonb->>'rollout' = t.rollout_id::text
     where t.rollout_id = $1 group by 1 having count(p.seq) <> 1`,
    [id]
  )
  findings.push(...told.map(({ slug, n }) => `Tenant ${slug} was told of it ${n} times.`))
  return { kills, findings }
}
