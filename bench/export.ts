import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { to } from 'pg-copy-streams'
import { gather } from '../src/databases/work.js'
import { createExport } from '../src/exports/create.js'
import { createTenant } from '../src/tenants/create.js'
import { controlPlane } from '../test/support/control-plane.js'
import { scratch } from '../test/support/servers.js'
import { tinyTemplate } from '../test/support/tiny-template.js'
import { figure, ms, note } from './support/report.js'

const [megabytes = 600] = process.argv.slice(2).map(Number)
const ROW = 500
/** What a process may grow by while it exports ten times as much. */
const FLAT = 96

const template = await tinyTemplate()
await template.grow({
  up: 'create table big (id bigint primary key, at timestamptz, amount numeric(20,4), body text, data bytea);',
  down: 'drop table big;'
})
const plane = await controlPlane({ env: template.env })
const folder = await mkdtemp(join(scratch, 'saasctl-bench.'))
try {
  const small = await measure('small', megabytes / 10)
  const large = await measure('large', megabytes)
  const against = `COPY to nowhere ${ms(large.raw)}`
  figure({
    what: `an export of ${megabytes} MB as CSV into a folder, hashed and signed`,
    measured: ms(large.csv),
    against,
    ratio: large.raw / large.csv,
    target: { atLeast: 0.5 }
  })
  figure({ what: 'the same as JSON', measured: ms(large.jsonl), against, ratio: large.raw / large.jsonl })
  note(`${ms(small.csv - small.raw)} of an export do not depend on its size: pg_dump of the schema, keys, the ledger`)
  note(`the server alone needs ${ms(large.json)} to make JSON of the rows with row_to_json`)
  figure({
    what: 'memory while ten times as much is exported, beyond what the small one took',
    measured: `${large.peak.toFixed(0)} MB after ${small.peak.toFixed(0)} MB`,
    against: `${FLAT} MB more`,
    ratio: Math.max(large.peak - small.peak, 0) / FLAT,
    target: { atMost: 1 }
  })
} finally {
  await plane.close()
  await template.remove()
  await rm(folder, { recursive: true, force: true })
}

interface Measured {
  raw: number
  json: number
  csv: number
  jsonl: number
  peak: number
}

/** Milliseconds of a COPY of all rows to nowhere, and of whole exports into a folder: tables, hashes, manifests, signature. */
async function measure(slug: string, size: number): Promise<Measured> {
  const { saasctl } = plane
  const { tenant } = await createTenant(saasctl, { slug }, { template: 'tiny' }, { wait: true })
  const { server, names, logins } = await gather(saasctl, tenant.databaseId ?? '')
  const as = await logins.credentials('owner')
  const place = { host: server.host, port: server.port, user: as.login, password: as.password.reveal() }
  const client = new pg.Client({ ...place, database: names.database })
  await client.connect()
  await client.query(
    `insert into big select n, now(), n * 1.2345, repeat(md5(n::text), 8), decode(repeat(md5(n::text), 4), 'hex')
     from generate_series(1, $1) n`,
    [Math.ceil((size * 1e6) / ROW)]
  )
  await client.query('vacuum analyze big')
  const copy = (sql: string) => () =>
    pipeline(client.query(to(sql)), new Writable({ write: (_chunk, _encoding, done) => done() }))
  const make = (format: 'csv' | 'jsonl', round: number) => async () => {
    const target = pathToFileURL(join(folder, `${slug}-${format}-${round}`)).href
    const wish = { formats: [format], container: 'folder', target, masked: false } as const
    await createExport(
      saasctl,
      slug,
      { ...wish, formats: [format], certificate: null, reason: 'bench' },
      { wait: true }
    )
  }
  const best: Measured = {
    raw: Number.POSITIVE_INFINITY,
    json: Number.POSITIVE_INFINITY,
    csv: Number.POSITIVE_INFINITY,
    jsonl: Number.POSITIVE_INFINITY,
    peak: 0
  }
  const watch = setInterval(() => {
    best.peak = Math.max(best.peak, process.memoryUsage().rss / 1e6)
  }, 20)
  for (let round = 0; round < 3; round += 1) {
    best.raw = Math.min(best.raw, await timed(copy('copy big to stdout')))
    best.json = Math.min(best.json, await timed(copy('copy (select row_to_json(big) from big) to stdout')))
    best.csv = Math.min(best.csv, await timed(make('csv', round)))
    best.jsonl = Math.min(best.jsonl, await timed(make('jsonl', round)))
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
  }
  clearInterval(watch)
  await client.end()
  return best
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await act()
  return performance.now() - from
}
