import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { serversWithRoom } from '../catalog/servers.js'
import { gather } from '../databases/work.js'
import type { EngineName } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { firstFiles } from '../templates/baseline.js'
import { currentTemplate } from '../templates/register.js'
import { chooseFor, readReferences, templateFiles } from './adoption-plan.js'
import type { NewTenant } from './create.js'
import { forgetForeign, promiseForeign } from './foreign.js'
import { activate, type ForeignInput, ForeignWork, openAndIdentify } from './foreign-work.js'
import type { TenantOutcome, Wait } from './work.js'

interface LoadInput extends ForeignInput {
  file: string
  sha256: string
}

/** Makes a tenant out of a plain dump. Until the last step nobody sees the tenant; a failure leaves nothing of it. */
export const tenantLoad: Kind<LoadInput, ForeignWork<LoadInput>> = {
  name: 'tenant.load',
  inputVersion: 1,
  exclusion: 'exclusive',
  open: async (tools, operation) =>
    new ForeignWork<LoadInput>(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'make logins',
      act: async ({ session, names, logins, database }) =>
        session.makeLogins({ names, passwords: await logins.passwords(), limits: database.limits }),
      undo: ({ session, names }) => session.dropLogins(names)
    },
    { name: 'load', act: load, undo: ({ session, names }) => session.dropDatabase(names) },
    { name: 'open and look', act: openAndIdentify },
    { name: 'activate', act: work => work.look(), commit: (tx, work) => activate(tx, work, { from: work.input.file }) }
  ],
  failed: forgetForeign
}

/** From an empty database, whatever an earlier try left. */
async function load(work: ForeignWork<LoadInput>, progress: (sentence: string) => void): Promise<void> {
  const { session, names, logins, database, input } = work
  if ((await hashOf(input.file)) !== input.sha256) {
    throw new SaasctlError('INVALID_INPUT', `The dump ${quoteInput(input.file)} is not what it was when this began.`, {
      hint: 'Create the tenant again, from a file that nobody changes meanwhile.'
    })
  }
  const owner = await logins.credentials('owner')
  await session.dropDatabase(names)
  await session.makeDatabase(names)
  await session.guardDatabase(names)
  await session.furnishDatabase({ names, databaseId: database.id, owner })
  await session.setLimits(names, database.limits)
  progress('plays the dump')
  const loading = await session.enterDatabase(names, owner)
  try {
    await loading.load(createReadStream(input.file))
  } finally {
    await loading.end()
  }
  const inside = await session.enterDatabase(names, owner)
  try {
    await inside.baseline((await work.baselineIn(inside)).files)
  } finally {
    await inside.end()
  }
}

export interface LoadWish extends Omit<NewTenant, 'idempotencyKey'> {
  file: string
  /** The last migration that is in it, or `none`; found out when it is not said. */
  baseline?: string | undefined
}

/**
 * Creates a tenant from a plain dump (pg_dump, mysqldump), as its own owner. INVALID_INPUT before anything is made for a file
 * that has commands in it; CHECK_FOUND when its schema is not what the baseline makes: then nothing is left.
 */
export async function loadTenant(
  context: Context,
  wish: LoadWish,
  defaults: { template: string },
  wait: Wait
): Promise<TenantOutcome> {
  const file = resolve(wish.file)
  const found = await stat(file).catch(cause => {
    throw new SaasctlError('INVALID_INPUT', `The dump ${quoteInput(wish.file)} cannot be read.`, { cause })
  })
  if (!found.isFile()) throw new SaasctlError('INVALID_INPUT', `The dump ${quoteInput(wish.file)} is not a file.`)
  const server = await pickServer(context, wish, wish.template ?? defaults.template)
  const template = wish.template ?? defaults.template
  const chosen = await chooseFor(context, { server, template, plan: wish.plan })
  if (wish.baseline !== undefined) firstFiles(await templateFiles(context, chosen), wish.baseline)
  await (await context.engine(chosen.server.engine)).checkDump(createReadStream(file))
  const input = { file, sha256: await hashOf(file), template: chosen.template.name, baseline: wish.baseline ?? null }
  await readReferences(context, chosen, wait)
  const names = (engine: Parameters<Parameters<typeof promiseForeign>[4]['names']>[0], id: string) => engine.names(id)
  return promiseForeign(context, wish, chosen, wait, { kind: tenantLoad, names, input })
}

/** The least loaded that fits; it is taken for good together with the tenant's row. */
async function pickServer(context: Context, wish: LoadWish, template: string): Promise<string> {
  if (wish.server !== undefined) return wish.server
  const { id, definition } = await currentTemplate(context, template)
  const engines = Object.keys(definition.engines) as EngineName[]
  const asked = { engine: wish.engine ?? null, server: null, region: wish.region ?? null, templateId: id }
  const fitting = (await serversWithRoom(context.catalog, asked)).find(({ engine }) => engines.includes(engine))
  if (fitting) return fitting.name
  throw new SaasctlError('NO_SERVER', 'No active server fits the template and has room.', {
    hint: 'See "saasctl server list".'
  })
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
