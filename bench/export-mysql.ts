import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import mysql from 'mysql2'
import { gather } from '../src/databases/work.js'
import { createExport } from '../src/exports/create.js'
import { addServer } from '../src/servers/add.js'
import { createTenant } from '../src/tenants/create.js'
import { controlPlane } from '../test/support/control-plane.js'
import { mysqlControlLogin, startMariadb } from '../test/support/mariadb-server.js'
import { scratch } from '../test/support/servers.js'
import { tinyTemplate } from '../test/support/tiny-template.js'
import { figure, ms } from './support/report.js'

// An export from MariaDB against what a script would do: a SELECT of all rows, streamed by mysql2 to nowhere.
// `node dist/bench/export-mysql.js 60` takes seconds.
const [megabytes = 300] = process.argv.slice(2).map(Number)
const ROW = 500
/** What a process may grow by while it exports ten times as much. */
const FLAT = 96

const template = await tinyTemplate(['mysql'])
await template.grow({
  up: 'create table big (id bigint primary key, at datetime(6), amount decimal(20,4), body text, data blob);',
  down: 'drop table big;'
})
const maria = await startMariadb()
const plane = await controlPlane({ env: template.env, addServer: false })
const folder = await mkdtemp(join(scratch, 'saasctl-bench.'))
try {
  const { host, port } = maria
  await addServer(plane.saasctl, { name: 'maria', engine: 'mysql', host, port, ...(await mysqlControlLogin(maria)) })
  const small = await measure('small', megabytes / 10)
  const large = await measure('large', megabytes)
  const against = `a SELECT streamed by mysql2 ${ms(large.raw)}`
  figure({
    what: `MariaDB: an export of ${megabytes} MB as CSV into a folder, hashed and signed`,
    measured: ms(large.csv),
    against,
    ratio: large.raw / large.csv,
    target: { atLeast: 0.5 }
  })
  figure({ what: 'the same as JSON', measured: ms(large.jsonl), against, ratio: large.raw / large.jsonl })
  figure({
    what: 'memory while ten times as much is exported, beyond what the small one took',
    measured: `${large.peak.toFixed(0)} MB after ${small.peak.toFixed(0)} MB`,
    against: `${FLAT} MB more`,
    ratio: Math.max(large.peak - small.peak, 0) / FLAT,
    target: { atMost: 1 }
  })
} finally {
  await plane.close()
  await maria.stop()
  await template.remove()
  await rm(folder, { recursive: true, force: true })
}

/** Milliseconds of reading all rows to nowhere, and of whole exports into a folder; the peak of memory in MB. */
async function measure(slug: string, size: number) {
  const { saasctl } = plane
  const { tenant } = await createTenant(saasctl, { slug }, { template: 'tiny' }, { wait: true })
  const { names, logins } = await gather(saasctl, tenant.databaseId ?? '')
  const as = await logins.credentials('readonly')
  await maria.root(
    `insert into big select seq, now(6), seq * 1.2345, repeat(md5(seq), 8), unhex(repeat(md5(seq), 4))
     from seq_1_to_${Math.ceil((size * 1e6) / ROW)}; analyze table big`,
    names.database
  )
  const { host, port } = maria
  const way = { host, port, user: as.login, password: as.password.reveal(), database: names.database }
  const connection = mysql.createConnection(way)
  const nowhere = () => new Writable({ objectMode: true, write: (_row, _encoding, done) => done() })
  const select = () => pipeline(connection.query('select * from big').stream({ highWaterMark: 200 }), nowhere())
  const make = (format: 'csv' | 'jsonl', round: number) => async () => {
    const target = pathToFileURL(join(folder, `${slug}-${format}-${round}`)).href
    const wish = { formats: [format], container: 'folder' as const, target, masked: false, certificate: null }
    await createExport(saasctl, slug, { ...wish, reason: 'bench' }, { wait: true })
  }
  const best = {
    raw: Number.POSITIVE_INFINITY,
    csv: Number.POSITIVE_INFINITY,
    jsonl: Number.POSITIVE_INFINITY,
    peak: 0
  }
  const watch = setInterval(() => {
    best.peak = Math.max(best.peak, process.memoryUsage().rss / 1e6)
  }, 20)
  for (let round = 0; round < 3; round += 1) {
    best.raw = Math.min(best.raw, await timed(select))
    best.csv = Math.min(best.csv, await timed(make('csv', round)))
    best.jsonl = Math.min(best.jsonl, await timed(make('jsonl', round)))
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
  }
  clearInterval(watch)
  connection.destroy()
  return best
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await act()
  return performance.now() - from
}
