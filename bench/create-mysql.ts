import { tmpdir } from 'node:os'
import { templateDatabase } from '../src/catalog/databases.js'
import { listServers } from '../src/catalog/servers.js'
import { newestTemplate } from '../src/catalog/templates.js'
import { serverAccess } from '../src/databases/access.js'
import { connect } from '../src/engines/mysql/connect.js'
import { readSnapshot } from '../src/engines/mysql/snapshot.js'
import { Secret } from '../src/secret.js'
import { addServer } from '../src/servers/add.js'
import { currentPlan } from '../src/templates/register.js'
import { controlPlane } from '../test/support/control-plane.js'
import { mysqlControlLogin, startMariadb } from '../test/support/mariadb-server.js'
import { bareCopy, createByHand, rootSession } from './support/by-hand-mysql.js'
import { alternate } from './support/measure.js'
import { create, media, must } from './support/plane.js'
import { figure, ms } from './support/report.js'
import { claim, fillPool } from './support/warm-pool.js'

// On MariaDB, which has no copy of a template: what ledger, fence, sealed passwords and looking before acting cost over a straight script of the same
// statements; and a claim from the warm pool against
// a bare CREATE DATABASE with its tables, without logins and rights, which is what a copy is there.
// Both servers on the machine's disk, every commit synced. `node dist/bench/create-mysql.js 5` takes seconds.
const rounds = Number(process.argv[2] ?? 30)
const warmUp = Math.ceil(rounds / 6)

const synced = ['--innodb-flush-log-at-trx-commit=1', '--innodb-doublewrite=1']
const server = await startMariadb(synced, undefined, tmpdir())
const plane = await controlPlane({ ...media.disk, addServer: false, env: { SAASCTL_LEASE: '15s' } })
try {
  const { saasctl } = plane
  const { login, password } = await mysqlControlLogin(server)
  const wish = { name: 'main', engine: 'mysql', host: server.host, port: server.port, login } as const
  await addServer(saasctl, { ...wish, password: new Secret(password.reveal()) })
  await create(plane, 'first')
  const row = must((await listServers(saasctl.catalog))[0])
  const template = must(await newestTemplate(saasctl.catalog, 'standard'))
  const built = must(await templateDatabase(saasctl.catalog, row.id, template.id))
  const access = await serverAccess(saasctl.keys, row)
  const control = await connect(access, { database: null, as: access.control, programName: 'by hand' })
  const snapshot = await readSnapshot(control, built.name)
  const plan = await currentPlan(saasctl, 'free')
  const by = { control, access, snapshot, catalog: saasctl.catalog }
  let made = 0
  const { cold, hand } = await alternate(
    {
      cold: () => create(plane, `cold-${++made}`),
      hand: () => createByHand(by, plan.definition.limits)
    },
    { rounds, warmUp }
  )
  await fillPool({ saasctl, row }, rounds + warmUp)
  const root = await rootSession(server, access)
  const { warm, bare } = await alternate(
    {
      warm: () => claim(plane, `warm-${++made}`),
      bare: () => bareCopy(root, `bare_${++made}`, snapshot)
    },
    { rounds, warmUp }
  )
  control.leave()
  root.leave()
  figure({
    what: 'MariaDB: create from the template',
    measured: ms(cold.median),
    against: `the same SQL by hand ${ms(hand.median)}`,
    ratio: cold.median / hand.median,
    target: { atMost: 1.5 }
  })
  figure({
    what: 'MariaDB: create from the warm pool',
    measured: ms(warm.median),
    against: `bare CREATE DATABASE and its tables ${ms(bare.median)}`,
    ratio: warm.median / bare.median,
    target: { atMost: 0.25 }
  })
} finally {
  await plane.close()
  await server.stop()
}
