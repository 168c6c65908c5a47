import type { ServerRow } from '../catalog/servers.js'
import type { EngineName } from '../engines/engine.js'
import { asSaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { startOperation } from '../operations/start.js'
import type { Template } from '../templates/files.js'
import { readTemplate } from '../templates/register.js'
import type { FileFinding } from './finding.js'
import { migrationCheck } from './operation.js'

/** Runs them on a scratch database of the server. What the operation found wrong with them is returned; all else is thrown. */
export async function checkByRunning(
  context: Context,
  template: Template,
  engine: EngineName,
  server: ServerRow | undefined,
  follow: Follow
): Promise<FileFinding[]> {
  if (!server) {
    const message = `They were not run: the catalog has no active server of engine ${engine}.`
    return [{ level: 'warning', code: 'run.skipped', message, fix: 'saasctl server add' }]
  }
  const { checksum } = await readTemplate(context.folders.templates, template.name)
  const { catalog, actor, operations } = context
  const claim = await operations.claim(true)
  const operation = await catalog.transaction(actor, tx => {
    const input = { databaseId: uuidv7(), serverId: server.id, template: template.name, checksum }
    tx.audit({ chain: 'template', action: 'migration.check', subject: `template:${template.name}`, payload: input })
    return startOperation(tx, { kind: migrationCheck, input, subject: `database:${input.databaseId}`, actor, claim })
  })
  try {
    await operations.follow(operation, follow)
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    if (error.code !== 'CHECK_FOUND') throw error
    return error.data?.['findings'] as FileFinding[]
  }
  const message = `Up, down and up again on server ${server.name} ends where it began.`
  return [{ level: 'ok', code: 'run', message }]
}
