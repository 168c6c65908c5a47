import { keepAdoption } from '../catalog/adoptions.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { place, setDatabaseState, setSchema } from '../catalog/databases.js'
import { recordChecksums } from '../catalog/templates.js'
import { setTenantStatus } from '../catalog/tenants.js'
import { migrationsChecksum } from '../databases/plan-migrations.js'
import { DatabaseWork, gather } from '../databases/work.js'
import type { Adoption, MigrationFile, OwnerSession } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Context, Kind } from '../operations/kind.js'
import { type Baseline, findBaseline } from '../templates/baseline.js'
import { readTemplate } from '../templates/register.js'
import { type AdoptionWish, planAdoption, refuseLacking } from './adoption-plan.js'
import { forgetForeign, promiseForeign } from './foreign.js'
import type { TenantInput, TenantOutcome, Wait } from './work.js'

interface AdoptInput extends TenantInput {
  template: string
  from: string
  baseline: string | null
}

class AdoptWork extends DatabaseWork {
  seen: { files: MigrationFile[]; fingerprint: string; bytes: number } | undefined

  get input(): AdoptInput {
    return this.operation.input as AdoptInput
  }

  async adoption(): Promise<Adoption> {
    const { names, database, logins, input } = this
    return { names, databaseId: database.id, owner: await logins.credentials('owner'), from: input.from }
  }
}

/**
 * Takes an existing database over in place. Until it is closed nothing in it was touched, and all can be taken back; from
 * then on it only goes forward: half of a database in other hands would be nobody's.
 */
export const tenantAdopt: Kind<AdoptInput, AdoptWork> = {
  name: 'tenant.adopt',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'look',
  open: async (tools, operation) => new AdoptWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'make logins',
      act: async ({ session, names, logins, database }) =>
        session.makeLogins({ names, passwords: await logins.passwords(), limits: database.limits }),
      undo: ({ session, names }) => session.dropLogins(names)
    },
    {
      name: 'look',
      act: look,
      undo: async work => work.session.takeover.letOut(await work.adoption())
    },
    { name: 'close', act: async work => work.session.takeover.close(await work.adoption()) },
    {
      name: 'hand over',
      act: async work => {
        await work.session.takeover.handOver(await work.adoption())
        await work.session.setLimits(work.names, work.database.limits)
      }
    },
    { name: 'write the ledger', act: writeLedger },
    {
      name: 'open and look',
      act: async work => {
        await work.session.openLogins(work.names, ['app_a', 'app_b', 'readonly'])
        const app = await work.logins.credentials(work.database.activeApp)
        await work.engine.identify(work.access, work.names.database, app, work.database.id)
      }
    },
    { name: 'activate', act: read, commit: activate }
  ],
  failed: forgetForeign
}

/** As its future owner, who may for these moments do what its present ones may. Reads only. */
async function look(work: AdoptWork): Promise<void> {
  const adoption = await work.adoption()
  await work.session.takeover.letIn(adoption)
  await work.session.takeover.inspect(adoption)
  const inside = await work.session.enterDatabase({ ...work.names, database: adoption.from }, adoption.owner)
  try {
    await baselineOf(work, inside)
  } finally {
    await inside.end()
  }
}

async function baselineOf(work: AdoptWork, inside: OwnerSession): Promise<Baseline> {
  const { tools, server } = work
  return findBaseline(tools, inside, { files: await filesOf(work), server, asked: work.input.baseline })
}

async function filesOf({ tools, engine, input }: AdoptWork): Promise<MigrationFile[]> {
  return (await readTemplate(tools.folders.templates, input.template)).migrations[engine.name] ?? []
}

/** A ledger that is written is the truth; whoever finishes this may be another process than the one that looked. */
async function writeLedger(work: AdoptWork): Promise<void> {
  const inside = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
  try {
    const applied = await inside.applied()
    await inside.baseline(applied.length > 0 ? applied : (await baselineOf(work, inside)).files)
  } finally {
    await inside.end()
  }
}

/** Takes from the database itself what the catalog is to know of it. */
async function read(work: AdoptWork): Promise<void> {
  const { engine, access, names, logins, database } = work
  const { fingerprint, applied } = await engine.describe(access, names.database, await logins.credentials('owner'))
  const { database: found, bytes } = await engine.state(access, names)
  if (found !== 'open') throw new SaasctlError('FAILED', `Database ${database.name} is ${found}.`)
  const files = await filesOf(work)
  work.seen = { files: files.slice(0, applied.length), fingerprint, bytes }
}

async function activate(tx: Transaction, work: AdoptWork): Promise<void> {
  const { database, engine, seen } = work
  const { tenantId, template, from } = work.input
  if (!seen) throw new SaasctlError('FAILED', `Database ${database.name} was not looked at.`)
  const { files, fingerprint, bytes } = seen
  const migration = files.at(-1)?.name ?? null
  await setSchema(tx, database.id, {
    migration,
    migrationsChecksum: migrationsChecksum(files, files),
    fingerprint,
    bytes
  })
  await recordChecksums(tx, template, engine.name, files)
  await setDatabaseState(tx, database.id, 'placed')
  await place(tx, tenantId, database.id)
  await setTenantStatus(tx, tenantId, 'active')
  tx.audit(tenantEvent(tenantId, 'tenant.activate', { from, database: database.name, baseline: migration }))
}

export interface AdoptWish extends AdoptionWish {
  slug: string
  plan?: string | undefined
  displayName?: string | undefined
  labels?: Record<string, string> | undefined
  reason?: string | undefined
}

/**
 * Takes an existing database over as a tenant's, in place: nothing is copied. Refuses before anything is made when control
 * lacks a right (SERVER_RIGHTS, with the statements for an administrator), and before anything is touched when its schema is
 * not what the baseline makes (CHECK_FOUND).
 */
export async function adoptTenant(context: Context, wish: AdoptWish, wait: Wait): Promise<TenantOutcome> {
  const plan = await planAdoption(context, wish)
  refuseLacking(plan)
  const { chosen, survey } = plan
  const { database: from } = wish
  return promiseForeign(context, wish, chosen, wait, {
    kind: tenantAdopt,
    names: (engine, databaseId) => engine.adoptedNames(databaseId, from),
    input: { from, template: chosen.template.name, baseline: wish.baseline ?? null },
    also: (tx, databaseId) => keepAdoption(tx, { databaseId, originalName: from, before: survey })
  })
}
