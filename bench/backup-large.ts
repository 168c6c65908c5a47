import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { backupTenant } from '../src/backups/backup.js'
import { findTenant } from '../src/catalog/tenants.js'
import { gather } from '../src/databases/work.js'
import { cloneTenant, restoreAs } from '../src/restores/clone.js'
import { asTenantOwner } from '../test/support/as-owner.js'
import type { ControlPlane } from '../test/support/control-plane.js'
import { asSuperuser } from '../test/support/servers.js'
import { dumpTool, envOf } from './support/dump-tool.js'
import { alternate } from './support/measure.js'
import { benchPlane, create, type Medium, must } from './support/plane.js'
import { figure, ms, type Target } from './support/report.js'

// One large tenant: its backup against pg_dump, its restore against pg_restore, its held clone against a bare copy, and
// how much memory a backup takes more than that of a tenant of a fiftieth.
const megabytes = Number(process.argv[2] ?? 500)
const rounds = Number(process.argv[3] ?? 3)
const plane = await benchPlane('memory')
try {
  const { saasctl } = plane
  const wait = { wait: true }
  await filled(plane, 'small', megabytes / 50)
  await filled(plane, 'large', megabytes)
  const [dump, restore] = [await dumpTool('pg_dump'), await dumpTool('pg_restore')]
  const { databaseId } = must(await findTenant(saasctl.catalog, 'large'))
  const { names, logins } = await gather(saasctl, must(databaseId ?? undefined))
  const env = envOf(plane.access, await logins.credentials('owner'))
  const file = join(plane.config.home, 'plain.dump')

  const few = await peak(() => backupTenant(saasctl, 'small', wait))
  const many = await peak(() => backupTenant(saasctl, 'large', wait))
  figure({
    what: 'memory while backing up',
    measured: `${many} MB`,
    against: `a tenant of a fiftieth ${few} MB`,
    ratio: many / few,
    target: { atMost: 1.5 }
  })

  const run = promisify(execFile)
  const backups = await alternate(
    {
      ours: () => backupTenant(saasctl, 'large', wait),
      theirs: () => run(dump, ['-Fc', '-f', file, names.database], { env })
    },
    { rounds, warmUp: 1 }
  )
  figure({
    what: `backup of ${megabytes} MB`,
    measured: ms(backups.ours.median),
    against: `pg_dump ${ms(backups.theirs.median)}`,
    ratio: backups.ours.median / backups.theirs.median,
    target: { atMost: 1.15 }
  })

  const empty = await emptied('by-hand')
  let made = 0
  const restores = await alternate(
    {
      ours: () => restoreAs(saasctl, 'large', { as: `restored-${++made}` }, wait),
      theirs: () => run(restore, ['-1', '-O', '-x', '-d', empty.names.database, file], { env: empty.env })
    },
    { rounds: 1, warmUp: 0 }
  )
  figure({
    what: `restore of ${megabytes} MB, compared`,
    measured: ms(restores.ours.median),
    against: `pg_restore ${ms(restores.theirs.median)}`,
    ratio: restores.ours.median / restores.theirs.median,
    target: { atMost: 1.2 }
  })

  await rm(file)
} finally {
  await plane.close()
}
await clone('disk', { atMost: 1.2 })
await clone('memory')

/**
 * A tenant's held clone against the bare copy of its database. On disk, where a tenant lives: in memory a copy of files is
 * next to nothing, and what a clone does beside it is most of both.
 */
async function clone(medium: Medium, target?: Target): Promise<void> {
  const plane = await benchPlane(medium)
  try {
    await filled(plane, 'large', megabytes)
    const { databaseId } = must(await findTenant(plane.saasctl.catalog, 'large'))
    const { names } = await gather(plane.saasctl, must(databaseId ?? undefined))
    let made = 0
    const clones = await alternate(
      {
        ours: () => cloneTenant(plane.saasctl, 'large', { as: `copied-${++made}`, hold: true }, { wait: true }),
        theirs: () =>
          asSuperuser(plane.server, client =>
            client.query(`create database copy_${++made} template "${names.database}" strategy file_copy`)
          )
      },
      { rounds, warmUp: 1 }
    )
    figure({
      what: `held clone of ${megabytes} MB, ${medium === 'disk' ? 'on disk, every commit synced' : 'in memory'}`,
      measured: ms(clones.ours.median),
      against: `a bare TEMPLATE copy ${ms(clones.theirs.median)}`,
      ratio: clones.ours.median / clones.theirs.median,
      ...(target && { target })
    })
  } finally {
    await plane.close()
  }
}

/** A tenant of whose database nothing is left, for a tool to restore into. */
async function emptied(slug: string) {
  await create(plane, slug)
  await asTenantOwner(plane.saasctl, slug, client =>
    client.query('drop schema saasctl cascade; drop schema public cascade; create schema public')
  )
  const { databaseId } = must(await findTenant(plane.saasctl.catalog, slug))
  const { names, logins } = await gather(plane.saasctl, must(databaseId ?? undefined))
  return { names, env: envOf(plane.access, await logins.credentials('owner')) }
}

/** A tenant with so many megabytes of rows that compress as text does. */
async function filled(plane: ControlPlane, slug: string, size: number): Promise<void> {
  await create(plane, slug)
  await asTenantOwner(plane.saasctl, slug, client =>
    client.query(
      `create table bulk as select i as id, md5(i::text) || repeat(' a word or two', 4) as text
       from generate_series(1, ${Math.ceil(size * 7_600)}) i`
    )
  )
}

/** The most memory of this process while it works, in MB. */
async function peak(act: () => Promise<unknown>): Promise<number> {
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 20)
  await act()
  clearInterval(watch)
  return Math.round(most / 1_048_576)
}
