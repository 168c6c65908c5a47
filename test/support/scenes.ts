import type { Json } from '../../src/canonical.js'
import { openRollout } from '../../src/catalog/rollouts.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { uuidv7 } from '../../src/names.js'
import { abortRollout } from '../../src/rollouts/control.js'
import type { Saasctl } from '../../src/saasctl.js'
import type { ControlPlane } from './control-plane.js'
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

/** A tenant that is behind the files, and no rollout of an earlier scene that is still open. */
async function rolloutScene(stage: Stage): Promise<Scene> {
  const { saasctl } = stage
  const open = await openRollout(saasctl.catalog, saasctl.config.template)
  if (open) await abortRollout(saasctl, open.id)
  await tenant(stage, 'active')
  await stage.template.grow()
  return { verb: 'rollout', argument: {} }
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
