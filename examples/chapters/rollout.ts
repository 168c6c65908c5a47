import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageFolder } from '../../src/config.js'
import {
  dropTemplate,
  followRollout,
  open,
  planRollout,
  purgeTenant,
  retryRollout,
  rolloutReport,
  type Saasctl,
  startRollout,
  usualRollout
} from '../../src/index.js'
import { asOwner } from '../as-tenant.js'
import { enterTenant } from '../cast.js'
import type { Narrator } from '../narrator.js'

const wait = { wait: true }
const template = 'shops'
const cities = ['amsterdam', 'berlin', 'copenhagen', 'dublin', 'edinburgh', 'florence']
const shops = cities.map(city => `shop-${city}`)

/** The next release of the example product; the story's own template has it, the shipped one does not. */
const release = {
  name: '0014_customers_vat_id',
  sql: `-- Up Migration
alter table customers add column vat_id varchar(20);

-- Down Migration
alter table customers drop column vat_id;
`
}

/** One migration of several tenants: a canary, a tenant that fails alone, its repair, and the sign-up after. */
export async function rolloutChapter(story: Saasctl, { chapter, say, tell }: Narrator): Promise<void> {
  chapter('A new release goes to many tenants, a few first')
  const templates = join(story.config.home, 'story', 'templates')
  await writeProduct(templates)
  const saasctl = await open({ ...story.config, templates })
  try {
    await tell(
      async () => {
        for (const slug of shops) await create(saasctl, slug)
      },
      `${shops.length} shops sign up: ${cities.join(', ')}. Each has a database of its own, at 0013.`
    )
    await writeFile(join(templates, template, 'migrations', `${release.name}.sql`), release.sql)
    const { id = '', tenants } = await tell(
      () => planRollout(saasctl, wish),
      ({ targets, waves, migrations, findings }) =>
        `The release brings ${migrations['postgres']?.join()}. The plan: ${targets} tenants, ${waves.map(({ name, size }) => `${size} in wave ${name}`).join(', ')}; the lint has ${findings.length || 'no'} complaints.`
    )
    const poisoned = tenants.at(-1) ?? ''
    await asOwner(saasctl, poisoned, client => client.query('alter table customers add column vat_id text'))
    say(`In ${poisoned} somebody adds that very column by hand, and tells nobody.`)
    await startRollout(saasctl, id)
    const stopped = await tell(
      () => followRollout(saasctl, id, {}),
      ({ rollout, waves }) =>
        `The canary of ${waves[0]?.done} goes well and its gate opens, then come the others. The rollout has ${rollout.status}: ${waves.reduce((sum, wave) => sum + wave.done, 0)} are migrated, one is not.`
    )
    for (const { slug, reason } of rolloutReport(stopped).failures)
      say(`${slug} is left alone, with the reason: ${reason}`)
    await asOwner(saasctl, poisoned, client => client.query('alter table customers drop column vat_id'))
    say('Somebody looks, and drops the column that was made by hand.')
    await retryRollout(saasctl, id)
    await tell(
      () => followRollout(saasctl, id, {}),
      ({ rollout }) =>
        `The retry takes that tenant alone; the rollout has ${rollout.status}, and only now the template follows.`
    )
    await tell(
      () => create(saasctl, 'shop-geneva'),
      ({ tenant }) => `geneva signs up and starts at ${tenant.migration}.`
    )
    await tell(() => close(saasctl), 'The shops close again; what was done in the rollout stays to be read.')
  } finally {
    await saasctl.close()
  }
}

const wish = {
  template,
  selector: {},
  wholeFleet: true,
  direction: 'up' as const,
  to: null,
  allow: [],
  settings: {
    ...usualRollout,
    canary: 2,
    // Asked in every tenant of the canary, as its read-only login.
    gates: [{ kind: 'sql' as const, query: 'select count(vat_id) = 0 from customers' }]
  }
}

/** The product that the shops use: the standard template's own files, in a folder where a release may be added. */
async function writeProduct(templates: string): Promise<void> {
  await rm(templates, { recursive: true, force: true })
  const folder = join(templates, template)
  await mkdir(folder, { recursive: true })
  const shipped = join(packageFolder, 'tenant-templates')
  await cp(join(shipped, 'plans.json'), join(templates, 'plans.json'))
  await cp(join(shipped, 'standard', 'seed.postgres.sql'), join(folder, 'seed.postgres.sql'))
  await cp(join(packageFolder, 'tenant-migrations', 'postgres'), join(folder, 'migrations'), { recursive: true })
  const standard = JSON.parse(await readFile(join(shipped, 'standard', 'template.json'), 'utf8')) as object
  const engines = { postgres: { migrations: 'migrations', seeds: ['seed.postgres.sql'] } }
  await writeFile(join(folder, 'template.json'), JSON.stringify({ ...standard, engines }, null, 2))
}

function create(saasctl: Saasctl, slug: string) {
  return enterTenant(saasctl, { slug, engine: 'postgres' }, template)
}

async function close(saasctl: Saasctl): Promise<void> {
  for (const slug of [...shops, 'shop-geneva']) await purgeTenant(saasctl, slug, { ...wait, backup: false })
  await dropTemplate(saasctl, template, {}, wait)
}
