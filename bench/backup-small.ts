import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { backupTenant } from '../src/backups/backup.js'
import { findTenant } from '../src/catalog/tenants.js'
import { gather } from '../src/databases/work.js'
import { dumpTool, envOf } from './support/dump-tool.js'
import { alternate, together } from './support/measure.js'
import { benchPlane, create, must } from './support/plane.js'
import { figure, perSecond } from './support/report.js'

// Many small tenants: what encryption, manifest, counts, ledger and audit cost over a loop of plain pg_dump, as wide.
const count = Number(process.argv[2] ?? 100)
const rounds = Number(process.argv[3] ?? 3)
const width = 2
const plane = await benchPlane('memory')
try {
  const { saasctl } = plane
  const slugs = Array.from({ length: count }, (_, index) => `tenant-${index}`)
  for (const slug of slugs) await create(plane, slug)
  const tool = await dumpTool('pg_dump')
  const plain = await Promise.all(
    slugs.map(async slug => {
      const { databaseId } = must(await findTenant(saasctl.catalog, slug))
      const { names, logins } = await gather(saasctl, must(databaseId ?? undefined))
      return { database: names.database, owner: await logins.credentials('owner') }
    })
  )
  const folder = plane.config.home
  const { ours, theirs } = await alternate(
    {
      ours: () => together(count, width, index => backupTenant(saasctl, must(slugs[index]), { wait: true })),
      theirs: () =>
        together(count, width, async index => {
          const { database, owner } = must(plain[index])
          const file = join(folder, `${database}.dump`)
          await promisify(execFile)(tool, ['-Fc', '-f', file, database], { env: envOf(plane.access, owner) })
          await rm(file)
        })
    },
    { rounds, warmUp: 1 }
  )
  figure({
    what: `${count} small tenants, ${width} at a time`,
    measured: perSecond((count * 1000) / ours.median),
    against: `plain pg_dump ${perSecond((count * 1000) / theirs.median)}`,
    ratio: theirs.median / ours.median,
    target: { atLeast: 0.9 }
  })
} finally {
  await plane.close()
}
