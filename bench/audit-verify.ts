import type pg from 'pg'
import { makeCheckpoint } from '../src/audit/checkpoint.js'
import { ownKeys } from '../src/audit/verify/keys.js'
import { verifyTrail } from '../src/audit/verify/verify.js'
import { trailOf } from '../src/catalog/trail.js'
import { controlPlane } from '../test/support/control-plane.js'
import { alternate } from './support/measure.js'
import { figure, ms, note } from './support/report.js'

// The whole trail against its checkpoints, on events of the append function itself, so that every hash is right. Alone with
// the machine it is the database and this process side by side; with neighbours, the second line says what is ours.
const target = 100_000
const [, , asked = '200000'] = process.argv
const total = Number(asked)
const chains = Math.max(1, Math.round(total / 40))

const plane = await controlPlane({ addServer: false })
try {
  const { saasctl } = plane
  await plane.catalogAsSuperuser(client => fill(client))
  await makeCheckpoint(saasctl)
  const keys = await ownKeys(saasctl.keys)
  let events = 0
  let memory = 0
  let cpu = Number.POSITIVE_INFINITY
  const { verify, read } = await alternate(
    {
      read: () =>
        saasctl.catalog.snapshot(async snapshot => {
          let rows = 0
          for await (const page of trailOf(snapshot)) rows += page.length
          if (rows < total) throw new Error('Rows were missing.')
        }),
      verify: async () => {
        const before = process.cpuUsage()
        const verified = await verifyTrail(saasctl.catalog, {
          keys,
          onProgress: () => {
            memory = Math.max(memory, process.memoryUsage.rss())
          }
        })
        if (verified.findings.length > 0 || verified.upTo === null) throw new Error('The trail was not whole.')
        events = verified.events
        const { user, system } = process.cpuUsage(before)
        cpu = Math.min(cpu, user + system)
      }
    },
    { rounds: 3, warmUp: 1 }
  )
  const perSecond = (events * 1000) / verify.median
  figure({
    what: 'audit verify, events per second',
    measured: `${Math.round(perSecond)}/s`,
    against: `${target}/s wanted`,
    ratio: perSecond / target,
    target: { atLeast: 1 }
  })
  figure({
    what: 'audit verify, against reading the same rows and checking nothing',
    measured: ms(verify.median),
    against: ms(read.median),
    ratio: verify.median / read.median
  })
  note(`${Math.round((events * 1_000_000) / cpu)} events for each second that this process had a core to itself`)
  note(
    `${events} events in ${chains + 1} chains; at most ${Math.round(memory / 1_048_576)} MB of memory, the same for ten times as many`
  )
} finally {
  await plane.close()
}

async function fill(client: pg.Client): Promise<void> {
  const payload = JSON.stringify({ before: { plan: 'free' }, after: { plan: 'pro' }, reason: 'upgrade' })
  await client.query('set synchronous_commit = off')
  for (let done = 0; done < total; done += 10_000) {
    await client.query(
      `select count(*) from generate_series($1::int, $2::int) n,
         lateral saasctl.audit_append('tenant:' || n % $3::int, 'somebody', 'proven', 'tenant.update', 'tenant:' || n % $3::int, $4)`,
      [done, Math.min(done + 10_000, total) - 1, chains, payload]
    )
  }
  await client.query('analyze saasctl.audit_event, saasctl.audit_payload, saasctl.audit_chain')
}
