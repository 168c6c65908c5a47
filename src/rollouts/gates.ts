import { spawn } from 'node:child_process'
import type { Queryable } from '../catalog/catalog.js'
import { gather } from '../databases/work.js'
import { SaasctlError } from '../errors.js'
import type { Tools } from '../operations/kind.js'
import type { Rollout } from './lane-work.js'
import type { Gate } from './settings.js'

const PATIENCE_MS = 600_000

/** Passes every gate in turn; ROLLOUT_STOPPED says which did not open, and why. */
export async function passGates(
  tools: Tools,
  rollout: Rollout,
  wave: number,
  progress: (sentence: string) => void
): Promise<void> {
  for (const gate of rollout.settings.gates) {
    progress(`asks ${named(gate)}`)
    if (gate.kind === 'command') await passCommand(gate.run, { rollout: rollout.id, wave })
    else if (gate.kind === 'http') await passHttp(gate.url)
    else await passSql(tools, rollout, wave, gate.query)
  }
}

const named = (gate: Gate) =>
  gate.kind === 'command' ? `the command "${gate.run}"` : gate.kind === 'http' ? gate.url : 'every tenant of the wave'

function closed(what: string): SaasctlError {
  return new SaasctlError('ROLLOUT_STOPPED', `A gate did not open: ${what}.`, {
    hint: 'See what is wrong; "saasctl rollout resume" asks the gates again.'
  })
}

/** With SAASCTL_ROLLOUT and SAASCTL_WAVE, and nothing else of ours, in its environment. */
async function passCommand(run: string, { rollout, wave }: { rollout: string; wave: number }): Promise<void> {
  const child = spawn('/bin/sh', ['-c', run], {
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', SAASCTL_ROLLOUT: rollout, SAASCTL_WAVE: String(wave) },
    stdio: 'ignore',
    timeout: PATIENCE_MS
  })
  const ended = await new Promise<{ code: number | null; error?: Error }>(resolve => {
    child.on('error', error => resolve({ code: null, error }))
    child.on('close', code => resolve({ code }))
  })
  if (ended.code !== 0) throw closed(`"${run}" ended with ${ended.code ?? ended.error?.message ?? 'a signal'}`)
}

async function passHttp(url: string): Promise<void> {
  const status = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(60_000) }).then(
    async response => {
      await response.body?.cancel()
      return response.ok ? undefined : `it answered ${response.status}`
    },
    (error: Error) => error.message
  )
  if (status !== undefined) throw closed(`${url}: ${status}`)
}

async function passSql(tools: Tools, rollout: Rollout, wave: number, query: string): Promise<void> {
  for (const { databaseId, slug } of await doneTargets(tools.catalog, rollout.id, wave)) {
    const { engine, access, database, logins } = await gather(tools, databaseId)
    const rows = await engine.read(access, database.name, await logins.credentials('readonly'), query, {
      timeoutMs: 30_000
    })
    const [value] = Object.values(rows[0] ?? {})
    if (rows.length !== 1 || (value !== true && value !== 1)) throw closed(`the query was not true for tenant ${slug}`)
  }
}

/** Their read-only logins are open only while they are active. */
function doneTargets(
  q: Queryable,
  rolloutId: string,
  wave: number
): Promise<Array<{ databaseId: string; serverId: string; slug: string }>> {
  return q.query(
    `select t.database_id as "databaseId", t.server_id as "serverId", n.slug from saasctl.rollout_target t
     join saasctl.tenant n on n.id = t.tenant_id
     where t.rollout_id = $1 and t.wave = $2 and t.status = 'done' and n.status = 'active' order by n.slug`,
    [rolloutId, wave]
  )
}
