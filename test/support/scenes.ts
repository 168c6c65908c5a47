import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backupTenant } from '../../src/backups/backup.js'
import type { Json } from '../../src/canonical.js'
import { latestBackup } from '../../src/catalog/backups.js'
import { listRollouts } from '../../src/catalog/rollouts.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { mustFindExport } from '../../src/exports/create.js'
import { uuidv7 } from '../../src/names.js'
import { abortRollout } from '../../src/rollouts/control.js'
import type { Saasctl } from '../../src/saasctl.js'
import type { ControlPlane } from './control-plane.js'
import { eventually } from './eventually.js'
import { forget } from './lost-catalog.js'
import type { TinyTemplate } from './tiny-template.js'
import { doVerb, type VerbName } from './verbs.js'

/** What another process is to be told, so that it works an operation of one kind. */
export interface Scene {
  verb: VerbName
  argument: Record<string, Json>
  /** Something was broken for it to mend: who is killed before promising to leaves that for the next one. */
  mends?: true
}

export interface Stage {
  plane: ControlPlane
  saasctl: Saasctl
  template: TinyTemplate
  /** Opens a login that is closed, behind the control plane's back. */
  openLogin(login: string): Promise<unknown>
  /** Makes a database as a customer had it before: in nobody's catalog, its schema that of the first two migrations. */
  foreignDatabase(): Promise<string>
  /** The same as a plain dump. */
  dumpFile(): Promise<string>
}

let slugs = 0
/** A slug that nobody had. */
export function newSlug(): string {
  slugs += 1
  return `tenant-${process.pid}-${slugs}`
}

/** How each kind of operation comes about: brings what it needs into the state that it starts from. */
export const scenes: Record<string, (stage: Stage) => Promise<Scene>> = {
  'tenant.create': async () => ({ verb: 'create', argument: { slug: newSlug() } }),
  'tenant.suspend': async stage => ({ verb: 'suspend', argument: { slug: await tenant(stage, 'active') } }),
  'tenant.resume': async stage => ({ verb: 'resume', argument: { slug: await tenant(stage, 'suspended') } }),
  'tenant.limits': async stage => {
    const slug = await tenant(stage, 'active')
    const { plan } = (await findTenant(stage.saasctl.catalog, slug)) ?? {}
    return { verb: 'limits', argument: { slug, plan: plan === 'small' ? 'large' : 'small' } }
  },
  'tenant.migrate': async stage => {
    const slug = await tenant(stage, 'active')
    const { migration } = (await findTenant(stage.saasctl.catalog, slug)) ?? {}
    const up = migration === '0001_grown'
    return { verb: 'migrate', argument: { slug, direction: up ? 'up' : 'down' } }
  },
  'tenant.delete': async stage => ({ verb: 'delete', argument: { slug: await tenant(stage, 'active') } }),
  'tenant.undelete': async stage => ({ verb: 'undelete', argument: { slug: await tenant(stage, 'deleted') } }),
  'tenant.purge': async ({ saasctl }) => {
    const slug = newSlug()
    await doVerb(saasctl, 'create', { slug })
    return { verb: 'purge', argument: { slug } }
  },
  'tenant.restore': async stage => ({ verb: 'restore', argument: { slug: await backedUp(stage) } }),
  'tenant.restore.undo': async stage => {
    const slug = await backedUp(stage)
    await doVerb(stage.saasctl, 'restore', { slug })
    return { verb: 'undo', argument: { slug } }
  },
  'tenant.clone': async stage => ({ verb: 'clone', argument: { slug: await tenant(stage, 'active'), as: newSlug() } }),
  'tenant.clone.held': async stage => ({
    verb: 'clone',
    argument: { slug: await tenant(stage, 'active'), as: newSlug(), hold: true }
  }),
  'tenant.backup': async stage => ({ verb: 'backup', argument: { slug: await tenant(stage, 'active') } }),
  'backup.verify': async stage => {
    const found = await findTenant(stage.saasctl.catalog, await tenant(stage, 'active'))
    const latest = () => latestBackup(stage.saasctl.catalog, found?.id ?? '')
    if (!(await latest())) await doVerb(stage.saasctl, 'backup', { slug: found?.slug ?? '' })
    return { verb: 'verify', argument: { backup: (await latest())?.id ?? '' } }
  },
  'backup.prune': async stage => {
    const slug = await tenant(stage, 'active')
    for (const keep of [0, 0]) await doVerb(stage.saasctl, 'backup', { slug, keep })
    return { verb: 'prune', argument: {} }
  },
  'tenant.adopt': async ({ foreignDatabase }) => ({
    verb: 'adopt',
    argument: { slug: newSlug(), database: await foreignDatabase() }
  }),
  'tenant.load': async ({ dumpFile }) => ({ verb: 'load', argument: { slug: newSlug(), file: await dumpFile() } }),
  'tenant.release': async ({ saasctl, foreignDatabase }) => {
    const slug = newSlug()
    await doVerb(saasctl, 'adopt', { slug, database: await foreignDatabase() })
    return { verb: 'release', argument: { slug } }
  },
  'tenant.erase': async ({ saasctl }) => {
    const slug = newSlug()
    await doVerb(saasctl, 'create', { slug })
    return { verb: 'erase', argument: { slug } }
  },
  'template.build': async () => ({ verb: 'build', argument: { again: true } }),
  'rollout.lane': rolloutScene,
  'rollout.turn': rolloutScene,
  'rollout.head': rolloutScene,
  'rollout.rehearse': async stage => {
    await rolloutScene(stage)
    return { verb: 'rehearse', argument: { slug: await tenant(stage, 'active') } }
  },
  'warm.create': async stage => ({ verb: 'build', argument: { warm: (await warm(stage.saasctl)).length + 1 } }),
  'warm.migrate': async stage => {
    await oneWarm(stage)
    await stage.template.grow()
    return { verb: 'build', argument: {} }
  },
  'database.drop': async stage => ({ verb: 'drop', argument: { databaseId: await oneWarm(stage) } }),
  'database.close': async stage => {
    const slug = await tenant(stage, 'suspended')
    const { database } = (await findTenant(stage.saasctl.catalog, slug)) ?? {}
    await stage.openLogin(`${database}a`)
    return { verb: 'doctor', argument: {}, mends: true }
  },
  'template.reference': async () => ({ verb: 'reference', argument: {} }),
  'export.create': async stage => ({ verb: 'export', argument: { slug: await tenant(stage, 'active') } }),
  'export.import': async stage => ({ verb: 'import', argument: { slug: newSlug(), file: await exported(stage) } }),
  'catalog.backup': async () => ({ verb: 'back-up-catalog', argument: {} }),
  'server.bind': async stage => {
    await tenant(stage, 'active')
    const unbound = () => stage.saasctl.catalog.query('select from saasctl.unbound')
    // Whoever made or changed it writes it down by itself, a moment later; then it is made to be written once more.
    await eventually(unbound, rows => rows.length === 0)
    await stage.plane.catalogAsSuperuser(client =>
      client.query('insert into saasctl.unbound (database_id) select database_id from saasctl.placement')
    )
    return { verb: 'bind', argument: {} }
  },
  'tenant.recover': async ({ saasctl, plane }) => {
    const slug = newSlug()
    await doVerb(saasctl, 'create', { slug })
    await doVerb(saasctl, 'bind', {})
    await plane.catalogAsSuperuser(client => forget(client, slug))
    return { verb: 'recover', argument: { slug } }
  },
  'migration.check': async () => ({ verb: 'check', argument: {} })
}

const usual = new WeakMap<Saasctl, string>()

/** One and the same tenant for everything that leaves it alive, in the state that is asked for. */
async function tenant({ saasctl }: Stage, wanted: 'active' | 'suspended' | 'deleted'): Promise<string> {
  const slug = usual.get(saasctl) ?? newSlug()
  if (!usual.has(saasctl)) await doVerb(saasctl, 'create', { slug })
  usual.set(saasctl, slug)
  const status = async () => (await findTenant(saasctl.catalog, slug))?.status
  if ((await status()) === wanted) return slug
  if ((await status()) === 'deleted') await doVerb(saasctl, 'undelete', { slug })
  if ((await status()) === 'suspended' && wanted !== 'suspended') await doVerb(saasctl, 'resume', { slug })
  if (wanted === 'suspended' && (await status()) === 'active') await doVerb(saasctl, 'suspend', { slug })
  if (wanted === 'deleted') await doVerb(saasctl, 'delete', { slug })
  return slug
}

/** The usual tenant, with a backup. */
async function backedUp(stage: Stage): Promise<string> {
  const slug = await tenant(stage, 'active')
  const { id = '' } = (await findTenant(stage.saasctl.catalog, slug)) ?? {}
  if (!(await latestBackup(stage.saasctl.catalog, id))) await backupTenant(stage.saasctl, slug, { wait: true })
  return slug
}

/** A tenant that is behind the files, and no rollout of an earlier scene that is still open. */
async function rolloutScene(stage: Stage): Promise<Scene> {
  const { saasctl } = stage
  const newest = await listRollouts(saasctl.catalog, { limit: 20 })
  const open = newest.find(({ status }) => ['running', 'paused', 'braked'].includes(status))
  if (open) await abortRollout(saasctl, open.id)
  await tenant(stage, 'active')
  await stage.template.grow()
  return { verb: 'rollout', argument: {} }
}

/** The file of an export whose migrations are still the template's. */
async function exported(stage: Stage): Promise<string> {
  const { saasctl } = stage
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  const { id } = (await doVerb(saasctl, 'export', { slug })) as { id: string }
  const { store, object } = await mustFindExport(saasctl, id)
  return join(fileURLToPath(store ?? ''), object ?? '')
}

function warm({ catalog }: Saasctl): Promise<Array<{ id: string }>> {
  return catalog.query(`select id from saasctl.database where kind = 'tenant' and state = 'ready' order by id`)
}

/** Exactly one, so that there is no doubt which it is; a worker that looks after the pool keeps it so. */
async function oneWarm({ saasctl }: Stage): Promise<string> {
  await doVerb(saasctl, 'build', { warm: 1 })
  const [first, ...others] = await warm(saasctl)
  for (const { id } of others) await doVerb(saasctl, 'drop', { databaseId: id })
  return first?.id ?? uuidv7()
}
