import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startRollout } from '../src/rollouts/control.js'
import { followRollout } from '../src/rollouts/follow.js'
import { type ControlPlane, controlPlane } from '../test/support/control-plane.js'
import { plannedRollout } from '../test/support/rollout-fleet.js'
import { controlLogin } from '../test/support/servers.js'
import { tinyTemplate } from '../test/support/tiny-template.js'
import { fillCatalog } from './support/fill-catalog.js'
import { figure, note } from './support/report.js'

// What following and working a rollout keeps in memory, for a hundred targets and for ten thousand. The targets are rows:
// their tenants are deleted between plan and start, so that each is taken, held, looked at, given up and written down, and no
// database is entered. Sessions cost what they cost by the number that is open at once, which is the same for any fleet.
const few = 100
const many = Number(process.argv[2] ?? 10_000)

setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

// The first one also loads and compiles what all of them need.
await peakOf(few)
const small = await peakOf(few)
const large = await peakOf(many)
const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
figure({
  what: `heap in use while ${many} targets are worked`,
  measured: mb(large),
  against: `${few} targets ${mb(small)}`,
  ratio: large / small,
  target: { atMost: 1.2 }
})
note(`${(Math.max(0, large - small) / (many - few)).toFixed(0)} bytes for each further target`)

async function peakOf(tenants: number): Promise<number> {
  const tiny = await tinyTemplate()
  const plane = await controlPlane({ addServer: false, env: { ...tiny.env, SAASCTL_LEASE: '15s' } })
  try {
    await fill(plane, tenants)
    const id = await plannedRollout(plane.saasctl, {}, { wholeFleet: false })
    await startRollout(plane.saasctl, id)
    await plane.catalogAsSuperuser(client => client.query(`update saasctl.tenant set status = 'deleted'`))
    let peak = 0
    const look = () => {
      collect()
      peak = Math.max(peak, process.memoryUsage().heapUsed)
    }
    const looking = setInterval(look, 100)
    const { waves } = await followRollout(plane.saasctl, id, {})
    clearInterval(looking)
    look()
    const skipped = waves.reduce((sum, wave) => sum + wave.skipped, 0)
    if (skipped !== tenants) throw new Error(`${skipped} of ${tenants} targets were worked.`)
    return peak
  } finally {
    await plane.close()
    await tiny.remove()
  }
}

/** Tenants of the tiny template on one server that answers. */
async function fill(plane: ControlPlane, tenants: number): Promise<void> {
  const { login, password } = await controlLogin(plane.server)
  await plane.catalogAsSuperuser(client => fillCatalog(client, tenants))
  const { sealControlPassword } = await import('../src/databases/access.js')
  const { Secret } = await import('../src/secret.js')
  await plane.saasctl.keys.ensure('control')
  const servers = await plane.saasctl.catalog.query<{ id: string }>('select id from saasctl.server order by id')
  for (const { id } of servers) {
    const sealed = await sealControlPassword(plane.saasctl.keys, id, new Secret(password))
    await plane.catalogAsSuperuser(client =>
      client.query(
        `update saasctl.server set host = $2, port = $3, control_login = $4, control_password = $5, tls = '{"mode": "disable"}' where id = $1`,
        [id, plane.server.host, plane.server.port, login, sealed]
      )
    )
  }
  await plane.catalogAsSuperuser(client =>
    client.query(`update saasctl.tenant set template = 'tiny', status = 'active'; analyze`)
  )
}
