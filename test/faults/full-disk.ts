import t, { type Test } from 'tap'
import type { SaasctlError } from '../../src/errors.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { newSlug } from '../support/scenes.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { hasOwnMounts, onSmallDisk } from '../support/small-disk.js'
import { twoServers } from '../support/two-servers.js'
import { doVerb } from '../support/verbs.js'

if (hasOwnMounts(t, import.meta.url) && !(await skipWithoutPostgres(t))) {
  t.test('a full tenant server', tenantServer)
  t.test('a full catalog', catalogServer)
}

async function tenantServer(t: Test) {
  const { plane, tenants, close } = await twoServers()
  t.teardown(close)
  const { saasctl } = plane
  const disk = await onSmallDisk(tenants, 140)
  t.teardown(() => disk.remove())
  const [before, refused] = [newSlug(), newSlug()]
  await doVerb(saasctl, 'create', { slug: before })

  t.test('has no room for a creation, which says so in one sentence and leaves nothing', async t => {
    await disk.fill(300_000)
    const error = await doVerb(saasctl, 'create', { slug: refused }).catch((error: SaasctlError) => error)
    t.match(error, { code: 'SERVER_FULL', message: /^The server [\d.:]+ has no room: [^.]+\.$/, hint: /room/ })
    await disk.free()
    await settle(saasctl)
    t.strictSame(await fleetAudit(plane, { servers: [tenants] }), [])
  })

  t.test('has room again, and the same creation is made', async t => {
    await doVerb(saasctl, 'create', { slug: refused })
    t.strictSame(await fleetAudit(plane, { servers: [tenants] }), [])
  })

  t.test(
    'that stops itself for want of room in its log has lost nothing when it is started with room again',
    async t => {
      await disk.fill(0)
      await asSuperuser(tenants, async client => {
        for (;;)
          await client.query('select pg_switch_wal(), pg_logical_emit_message(true, $1, repeat($2, 1000000))', [
            '',
            'x'
          ])
      }).catch(() => {})
      const error = await doVerb(saasctl, 'create', { slug: newSlug() }).catch((error: SaasctlError) => error)
      t.match(error, { code: 'SERVER_UNREACHABLE' })
      await disk.free()
      await tenants.restart()
      await settle(saasctl)
      t.strictSame(await fleetAudit(plane, { servers: [tenants] }), [])
    }
  )
}

async function catalogServer(t: Test) {
  const { plane, tenants, close } = await twoServers()
  t.teardown(close)
  const { saasctl } = plane
  const disk = await onSmallDisk(plane.server, 110)
  t.teardown(() => disk.remove())
  await doVerb(saasctl, 'create', { slug: newSlug() })

  t.test('takes no change, says so in one sentence, and has lost nothing when it has room again', async t => {
    await disk.fill(0)
    let error: SaasctlError | undefined
    for (let tries = 0; !error && tries < 200; tries += 1) {
      await doVerb(saasctl, 'create', { slug: newSlug(), wait: false }).catch(thrown => {
        error = thrown
      })
    }
    t.match(error, { code: 'CATALOG_UNREACHABLE', message: /disk is full/, hint: /nothing was changed/ })
    await disk.free()
    await plane.server.restart()
    await afterRestart()
    await settle(saasctl)
    t.strictSame(await fleetAudit(plane, { servers: [tenants] }), [])
  })

  async function afterRestart(): Promise<void> {
    while (!(await saasctl.catalog.query('select').catch(() => undefined))) {}
  }
}
