import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Logins } from '../src/databases/logins.js'
import type { Credentials } from '../src/engines/engine.js'
import { startRollout } from '../src/rollouts/control.js'
import { followRollout } from '../src/rollouts/follow.js'
import { usualSettings } from '../src/rollouts/settings.js'
import { mustFind } from '../src/tenants/find.js'
import { plannedRollout } from '../test/support/rollout-fleet.js'
import { scratch } from '../test/support/servers.js'
import { timed, together } from './support/measure.js'
import { session } from './support/plane.js'
import { figure, perSecond } from './support/report.js'
import { rolloutPlane } from './support/rollout-plane.js'

// One real migration over many databases, against the floor: connect, one guarded message, disconnect, as many at a time. At
// full pace, because the floor does not look how its server is doing either.
const databases = Number(process.argv[2] ?? 500)
const rounds = Number(process.argv[3] ?? 3)
const cliRuns = Number(process.argv[4] ?? 10)
const width = usualSettings.perServer

const plane = await rolloutPlane(databases)
const { saasctl, template, access, slugs } = plane
const places: Array<{ database: string; as: Credentials }> = []
for (const slug of slugs) {
  const { database, databaseId } = await mustFind(saasctl.catalog, slug)
  const logins = await Logins.of(saasctl.catalog, saasctl.keys, databaseId ?? '')
  places.push({ database: database ?? '', as: await logins.credentials('owner') })
}
try {
  await eachByHand('create table public.by_hand (name text, run_on timestamptz)')
  const seconds = { saasctl: 0, floor: 0 }
  for (let round = 0; round < rounds; round += 1) {
    await template.grow()
    const id = await plannedRollout(saasctl, { pace: 'full' }, { wholeFleet: false })
    const ours = async () => {
      seconds.saasctl += (await timed(() => rollOut(id))) / 1000
    }
    const floor = async () => {
      seconds.floor += (await timed(() => eachByHand(message(round)))) / 1000
    }
    for (const run of round % 2 === 0 ? [ours, floor] : [floor, ours]) await run()
  }
  const rate = (of: keyof typeof seconds) => (databases * rounds) / seconds[of]
  figure({
    what: `one migration of ${databases} databases, ${width} at a time`,
    measured: perSecond(rate('saasctl')),
    against: `the floor ${perSecond(rate('floor'))}`,
    ratio: rate('saasctl') / rate('floor'),
    target: { atLeast: 0.85 }
  })
  const cli = cliRuns / ((await timed(libraryLoop)) / 1000)
  figure({
    what: 'the same',
    measured: perSecond(rate('saasctl')),
    against: `node-pg-migrate's command line in a loop ${perSecond(cli)} (${cliRuns} runs)`,
    ratio: rate('saasctl') / cli,
    target: { atLeast: 20 }
  })
} finally {
  await plane.close()
}

async function rollOut(id: string): Promise<void> {
  await startRollout(saasctl, id)
  const { rollout } = await followRollout(saasctl, id, {})
  if (rollout.status !== 'succeeded') throw new Error(`It ended as ${rollout.status}: ${rollout.reason}`)
}

function eachByHand(sql: string): Promise<void> {
  return together(places.length, width, async index => {
    const place = places[index]
    if (!place) return
    const client = await session(access, place.database, place.as)
    await client.query(sql)
    await client.end()
  })
}

/** What a careful script sends: lock, look, change, record, in one message. */
function message(round: number): string {
  return `BEGIN; SET LOCAL lock_timeout = 2000;
    DO $$ BEGIN
      IF NOT pg_try_advisory_xact_lock(42) THEN RAISE EXCEPTION 'locked'; END IF;
      IF EXISTS (SELECT FROM public.by_hand WHERE name = 'round_${round}') THEN RAISE EXCEPTION 'done'; END IF;
    END $$;
    CREATE TABLE public.by_hand_${round} (id int);
    INSERT INTO public.by_hand VALUES ('round_${round}', now());
    COMMIT`
}

async function libraryLoop(): Promise<void> {
  const folder = await mkdtemp(join(scratch, 'saasctl-bench.'))
  await writeFile(join(folder, '0001_cli.sql'), '-- Up Migration\ncreate table public.by_cli (id int);\n')
  const program = fileURLToPath(new URL('../../node_modules/node-pg-migrate/bin/node-pg-migrate.js', import.meta.url))
  try {
    for (const { database, as } of places.slice(0, cliRuns)) {
      const url = `postgres://${as.login}:${encodeURIComponent(as.password.reveal())}@${access.host}:${access.port}/${database}`
      const child = spawn(
        process.execPath,
        [program, 'up', '-m', folder, '-t', 'cli_migrations', '--schema', 'public'],
        {
          env: { PATH: process.env['PATH'], DATABASE_URL: url },
          stdio: 'ignore'
        }
      )
      const code = await new Promise(resolve => child.on('close', resolve))
      if (code !== 0) throw new Error(`node-pg-migrate ended with ${code}.`)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
