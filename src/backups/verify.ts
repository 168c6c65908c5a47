import { compareRestored } from '../archives/compare.js'
import { notComplete, openArchive } from '../archives/read.js'
import { tenantEvent } from '../catalog/audit.js'
import { type ListedBackup, recordVerification } from '../catalog/backups.js'
import { databaseById } from '../catalog/databases.js'
import { type ServerRow, serverById, serverByName } from '../catalog/servers.js'
import { lockTenant } from '../catalog/tenants.js'
import { makeScratch, openScratch, type ScratchPlace, ScratchWork, scratchSteps } from '../databases/scratch.js'
import { SaasctlError } from '../errors.js'
import { quoteInput, uuidv7 } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import type { Wait } from '../tenants/work.js'
import { notWanted, type StillWanted } from './backup.js'
import { mustFindBackup } from './find.js'

interface VerifyInput extends ScratchPlace {
  backupId: string
  tenantId: string
  slug: string
}

type VerifyWork = ScratchWork<VerifyInput>

/** Restores a backup to a scratch database, compares, and drops it again. What is wrong with it stands in its row. */
export const backupVerify: Kind<VerifyInput, VerifyWork> = {
  name: 'backup.verify',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'restore and compare',
  open: async (tools, operation) => new ScratchWork(operation, await openScratch(tools, operation.input)),
  steps: [
    ...scratchSteps<VerifyWork>({ name: 'restore and compare', act: restoreAndCompare }),
    {
      name: 'record',
      commit: async (tx, { operation }) => {
        const { backupId, tenantId } = operation.input
        await recordVerification(tx, backupId, null)
        tx.audit(tenantEvent(tenantId, 'backup.verified', { backup: backupId }))
      }
    }
  ],
  result: ({ operation }) => ({ backupId: operation.input.backupId }),
  failed: async (tx, { input, error }) => {
    if (!error || error.code === 'CANCELLED') return
    await recordVerification(tx, input.backupId, error)
    tx.audit(tenantEvent(input.tenantId, 'backup.verify-failed', { backup: input.backupId, code: error.code }))
  }
}

async function restoreAndCompare(work: VerifyWork, progress: (sentence: string) => void, signal: AbortSignal) {
  const { session, names, tools } = work
  const { manifest, content } = await openArchive(
    tools,
    await mustFindBackup(tools.catalog, work.operation.input.backupId)
  )
  const owner = await makeScratch(work)
  progress('restoring to a scratch database')
  const played = await session.restore(names, owner, await content(), {
    format: manifest.format,
    signal,
    path: tools.path
  })
  for (const note of played.notes) progress(note)
  const inside = await session.enterDatabase(names, owner)
  try {
    await compareRestored(manifest, inside, played)
  } finally {
    await inside.end()
  }
}

export interface VerifyOptions extends Wait {
  /** Where the scratch database goes; by default where the tenant's was. */
  server?: string | undefined
  stillWanted?: StillWanted
}

export interface Verified {
  backup: ListedBackup
  operationId: string
}

/** Verifies a complete backup; BACKUP_DAMAGED says what is wrong with it. */
export async function verifyBackup(context: Context, id: string, options: VerifyOptions): Promise<Verified> {
  const { catalog, actor, operations } = context
  const backup = await mustFindBackup(catalog, id)
  if (backup.status !== 'complete') throw notComplete(backup)
  const { id: serverId } = await chosenServer(context, backup, options.server)
  const claim = await operations.claim(options.wait)
  const started = await catalog.transaction(actor, async tx => {
    const { tenantId, slug } = backup
    await lockTenant(tx, tenantId)
    if (options.stillWanted && !(await options.stillWanted(tx, tenantId))) throw notWanted(slug)
    tx.audit(tenantEvent(tenantId, 'backup.verify', { backup: id }))
    const input = { databaseId: uuidv7(), serverId, backupId: id, tenantId, slug }
    return startOperation(tx, { kind: backupVerify, input, subject: `backup:${id}`, tenantId, actor, claim })
  })
  if (options.wait) await operations.follow(started, options)
  return { backup: await mustFindBackup(catalog, id), operationId: started.id }
}

async function chosenServer({ catalog }: Context, backup: ListedBackup, name: string | undefined): Promise<ServerRow> {
  if (name === undefined) {
    const database = await databaseById(catalog, backup.databaseId)
    const server = database && (await serverById(catalog, database.serverId))
    if (server && server.status !== 'removed') return server
    throw new SaasctlError('SERVER_NOT_FOUND', `The server that backup ${backup.id} was made on is gone.`, {
      hint: 'Name another one of its engine with --server.'
    })
  }
  const server = await serverByName(catalog, name)
  if (server) return server
  throw new SaasctlError('SERVER_NOT_FOUND', `There is no server ${quoteInput(name)}.`, {
    hint: 'List them with "saasctl server list".'
  })
}
