import { keepAdoption } from '../catalog/adoptions.js'
import { gather } from '../databases/work.js'
import type { Adoption } from '../engines/engine.js'
import type { Context, Kind } from '../operations/kind.js'
import { type AdoptionWish, planAdoption, refuseLacking } from './adoption-plan.js'
import { forgetForeign, promiseForeign } from './foreign.js'
import { activate, type ForeignInput, ForeignWork, openAndIdentify } from './foreign-work.js'
import type { TenantOutcome, Wait } from './work.js'

interface AdoptInput extends ForeignInput {
  from: string
}

class AdoptWork extends ForeignWork<AdoptInput> {
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
        await writeLedger(work)
      }
    },
    {
      name: 'open and look',
      act: openAndIdentify
    },
    { name: 'activate', act: work => work.look(), commit: (tx, work) => activate(tx, work, { from: work.input.from }) }
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
    await work.baselineIn(inside)
  } finally {
    await inside.end()
  }
}

/** A ledger that is written is the truth; whoever finishes this may be another process than the one that looked. */
async function writeLedger(work: AdoptWork): Promise<void> {
  const inside = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
  try {
    const applied = await inside.applied()
    await inside.baseline(applied.length > 0 ? applied : (await work.baselineIn(inside)).files)
  } finally {
    await inside.end()
  }
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
