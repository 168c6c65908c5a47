import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import type { RoutedWay } from '../src/engines/routing.js'
import { uuidv7 } from '../src/names.js'
import { createTenants } from '../src/router.js'
import { scramVerifier } from '../src/scram.js'
import { asSuperuser } from '../test/support/servers.js'
import { noteById, someNote } from './support/ask-tenants.js'
import { enlist } from './support/enlisted-fleet.js'
import { someEntities } from './support/entities.js'
import { together } from './support/measure.js'
import { figure, note, perSecond } from './support/report.js'
import { type RoutedFleet, routedFleet } from './support/routed-fleet.js'

// Tenants that come and go: each is looked up, logged in to, asked and forgotten, ten times as many as the router remembers.
// They have logins and identity rows of their own and one database, for 10,000 would want 50 GB of memory.
// `node dist/bench/routing-churn.js 500` takes seconds.
const tenants = Number(process.argv[2] ?? 10_000)
const remember = tenants / 10

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const memory = () => {
  for (let turn = 0; turn < 3; turn += 1) collect()
  return process.memoryUsage()
}

const fleet = await routedFleet(1)
const enlisted = await enlist({ ...fleet, ways: await loginsOf(fleet, tenants) }, 40)
const router = await createTenants({ config: enlisted.routerConfig, entities: someEntities(50), remember })
try {
  const lap = (from: number, to: number) =>
    together(to - from, 8, index =>
      router.use(enlisted.slugs[from + index] ?? '', async ({ db }) => (await db()).query(noteById, [someNote()]))
    )
  // Once it has forgotten as many as it remembers, nothing may grow any more.
  await lap(0, 2 * remember)
  const before = memory()
  const from = performance.now()
  await lap(2 * remember, tenants)
  const seconds = (performance.now() - from) / 1_000
  const after = memory()
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
  figure({
    what: `resident memory after ${tenants} tenants were opened and closed`,
    measured: mb(after.rss),
    against: `${mb(before.rss)} after ${2 * remember}`,
    ratio: after.rss / before.rss,
    target: { atMost: 1.1 }
  })
  figure({
    what: 'the heap then',
    measured: mb(after.heapUsed),
    against: '60 MB',
    ratio: after.heapUsed / 60e6,
    target: { atMost: 1 }
  })
  note(`${perSecond((tenants - 2 * remember) / seconds)}, each with a lookup, a login and an identity row`)
} finally {
  await router.close(1_000)
  await enlisted.close()
  await fleet.stop()
}

/** Ways into the fleet's one database, which tells each login another identity. */
async function loginsOf({ server, ways: [way] }: RoutedFleet, count: number): Promise<RoutedWay[]> {
  if (!way) throw new Error('The fleet is empty.')
  const ways = Array.from({ length: count }, (_, index) => ({
    ...way,
    databaseId: uuidv7(),
    as: { login: `tenant_${index}`, password: way.as.password }
  }))
  const verifier = pg.escapeLiteral(await scramVerifier(way.as.password))
  await asSuperuser(
    server,
    async client => {
      await client.query(`
        create role tenants; grant connect on database ${way.database} to tenants;
        do $$ begin
          for n in 0..${count - 1} loop execute 'create role tenant_' || n || ' login in role tenants password ' || quote_literal(${verifier}); end loop;
        end $$;
        drop table saasctl.identity; create table saasctl.identities (login text primary key, database_id uuid);
        create view saasctl.identity as select database_id from saasctl.identities where login = session_user;
        grant select on saasctl.identity to public`)
      await client.query('insert into saasctl.identities select * from unnest($1::text[], $2::uuid[])', [
        ways.map(({ as }) => as.login),
        ways.map(({ databaseId }) => databaseId)
      ])
    },
    way.database
  )
  return ways
}
