import type { Json } from '../canonical.js'
import type { Transaction } from '../catalog/catalog.js'
import {
  insertDatabase,
  outdatedTemplateDatabases,
  setBytes,
  setDatabaseState,
  templateDatabase
} from '../catalog/databases.js'
import { lockSubject, type OperationRow, openOperationOn } from '../catalog/operations.js'
import { lockServer, type ServerRow, takePlace } from '../catalog/servers.js'
import { startDrop } from '../databases/drop.js'
import { recordDropped } from '../databases/drop-steps.js'
import { promiseLogins } from '../databases/logins.js'
import { DatabaseWork, gather } from '../databases/work.js'
import type { DatabaseLimits } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context, Kind, Tools } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { fillDatabase } from './fill.js'
import type { KeptTemplate } from './register.js'

/** The owner login works here alone; the app logins of a template never open. */
const templateLimits: DatabaseLimits = {
  connections: 2,
  statementTimeoutMs: null,
  idleInTransactionMs: null,
  tempFileMb: null
}

interface BuildInput extends Record<string, Json> {
  databaseId: string
  template: string
  checksum: string
}

class BuildWork extends DatabaseWork {
  /** Measured when it was filled; a run that resumes after that leaves it unknown. */
  bytes: number | undefined
}

/** Builds a template's database on one server: migrations from zero, seed, measured, then sealed for copying. */
export const templateBuild: Kind<BuildInput, BuildWork> = {
  name: 'template.build',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'seal',
  open: async (tools, operation) => new BuildWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'make logins',
      act: async ({ session, names, logins }) =>
        session.makeLogins({ names, passwords: await logins.passwords(), limits: templateLimits }),
      undo: ({ session, names }) => session.dropLogins(names)
    },
    {
      name: 'make database',
      act: async ({ session, names, database, logins }) => {
        await session.makeDatabase(names)
        await session.guardDatabase(names)
        await session.furnishDatabase({ names, databaseId: database.id, owner: await logins.credentials('owner') })
      },
      undo: ({ session, names }) => session.dropDatabase(names)
    },
    { name: 'migrate and seed', act: fill },
    {
      name: 'seal',
      act: ({ session, names }) => session.sealDatabase(names),
      commit: async (tx, work) => {
        await setDatabaseState(tx, work.database.id, 'ready')
        if (work.bytes !== undefined) await setBytes(tx, work.database.id, work.bytes)
        tx.audit({
          chain: 'template',
          action: 'template.build',
          subject: `database:${work.database.id}`,
          payload: work.operation.input
        })
      }
    },
    { name: 'retire the old', commit: retireOutdated }
  ],
  result: work => ({ databaseId: work.database.id, server: work.server.name }),
  failed: (tx, operation) => recordDropped(tx, operation.input.databaseId)
}

async function fill(work: BuildWork, progress: (sentence: string) => void): Promise<void> {
  const inside = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
  try {
    await fillDatabase(work, inside, work.operation.input as BuildInput, progress)
    work.bytes = await inside.bytes()
  } finally {
    await inside.end()
  }
}

async function retireOutdated(tx: Transaction, work: BuildWork): Promise<void> {
  const input = work.operation.input as BuildInput
  for (const old of await outdatedTemplateDatabases(tx, work.server.id, input.template, work.database.id)) {
    if (old.state === 'ready') await startDrop(tx, old.id, { actor: work.operation.actor, claim: null })
  }
}

/**
 * Promises a build of the template on the server unless its present version is there or in the making.
 * Gives the operation to wait for, or undefined when there is nothing to do.
 */
export async function startBuild(
  tx: Transaction,
  context: Tools & Pick<Context, 'actor'>,
  server: ServerRow,
  template: KeptTemplate,
  options: { claim: { owner: string; leaseMs: number } | null; again?: boolean }
): Promise<OperationRow | undefined> {
  const built = () => templateDatabase(tx, server.id, template.id)
  if (!options.again && (await built())) return undefined
  const subject = `template:${template.id}@${server.id}`
  // The server's row first, as whoever places a tenant does: two orders would wait for each other.
  await lockServer(tx, server.id)
  await lockSubject(tx, subject)
  const open = await openOperationOn(tx, templateBuild.name, subject)
  if (open) return open
  if (!options.again && (await built())) return undefined
  if (!(await takePlace(tx, server.id))) throw full(server)
  const engine = await context.engine(server.engine)
  const id = uuidv7()
  const names = engine.names(id)
  await insertDatabase(tx, {
    id,
    serverId: server.id,
    name: names.database,
    kind: 'template',
    templateId: template.id,
    limits: templateLimits,
    profile: 'template'
  })
  await promiseLogins(tx, context.keys, id, names)
  return startOperation(tx, {
    kind: templateBuild,
    input: { databaseId: id, template: template.name, checksum: template.checksum },
    subject,
    actor: context.actor,
    claim: options.claim
  })
}

function full(server: ServerRow): SaasctlError {
  return new SaasctlError(
    'NO_SERVER',
    `Server ${server.name} cannot take the template’s database: it is full or cordoned.`,
    {
      hint: `Raise its capacity with "saasctl server update ${server.name} --capacity", or name another server.`
    }
  )
}
