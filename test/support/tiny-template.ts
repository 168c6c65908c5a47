import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineName } from '../../src/engines/engine.js'
import { scratch } from './servers.js'

/** A templates folder with one small template, `tiny`, and two plans: a copy of it is as fast as a copy can be. */
export interface TinyTemplate {
  /** For the control plane's environment. */
  env: { SAASCTL_TEMPLATES: string; SAASCTL_TEMPLATE: string }
  migrations: string
  /** Adds a migration: the template's files say a new version from here on. Gives its name. */
  grow(sql?: { up: string; down: string }): Promise<string>
  remove(): Promise<void>
}

const plan = (connections: number) => ({
  displayName: `${connections} connections`,
  limits: { connections, statementTimeoutMs: 1000 * connections, idleInTransactionMs: null, tempFileMb: null },
  requests: { perSecond: null, concurrent: null },
  features: {},
  quotas: {}
})

/** What each engine's seed is: both may run again. The migrations are SQL that both understand. */
const seeds: Record<EngineName, string> = {
  postgres: `insert into notes (id, body) values (1, 'seed') on conflict do nothing;\n`,
  mysql: `insert ignore into notes (id, body) values (1, 'seed');\n`
}

export async function tinyTemplate(engines: EngineName[] = ['postgres']): Promise<TinyTemplate> {
  const folder = await mkdtemp(join(scratch, 'saasctl-templates.'))
  const migrations = join(folder, 'tiny', 'migrations')
  await mkdir(migrations, { recursive: true })
  await writeFile(join(folder, 'plans.json'), JSON.stringify({ small: plan(4), large: plan(8) }))
  await writeFile(
    join(folder, 'tiny', 'template.json'),
    JSON.stringify({
      description: 'Two tables and a row.',
      defaultPlan: 'small',
      labels: {},
      engines: Object.fromEntries(
        engines.map(engine => [engine, { migrations: 'migrations', seeds: [`seed.${engine}.sql`] }])
      )
    })
  )
  for (const engine of engines) await writeFile(join(folder, 'tiny', `seed.${engine}.sql`), seeds[engine])
  let count = 0
  const grow = async (
    { up, down } = { up: `create table grown_${count} (id int);`, down: `drop table grown_${count};` }
  ) => {
    count += 1
    const name = `${String(count).padStart(4, '0')}_grown`
    await writeFile(join(migrations, `${name}.sql`), `-- Up Migration\n${up}\n\n-- Down Migration\n${down}\n`)
    return name
  }
  await grow({ up: 'create table notes (id int primary key, body text not null);', down: 'drop table notes;' })
  await grow({ up: 'create table tags (id int primary key, name text);', down: 'drop table tags;' })
  return {
    env: { SAASCTL_TEMPLATES: folder, SAASCTL_TEMPLATE: 'tiny' },
    migrations,
    grow,
    remove: () => rm(folder, { recursive: true, force: true })
  }
}
