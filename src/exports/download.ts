import { tenantEvent } from '../catalog/audit.js'
import { SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { mustFindExport } from './create.js'
import { landStream, type Place, refuseExisting, removeHalves } from './target.js'

/**
 * Copies an export from the store into a new file, and the trail says who did. EXPORT_NOT_FOUND when it has expired,
 * CHECK_FOUND when the store has something else under its name: then there is no file.
 */
export async function downloadExport(
  context: Context,
  id: string,
  path: string
): Promise<{ id: string; file: string; bytes: number; sha512: string | null }> {
  const { catalog, stores, actor } = context
  const found = await mustFindExport(context, id)
  if (found.status !== 'ready' || found.target !== null || found.store === null || found.object === null) {
    const where = found.target ?? 'nowhere any more'
    throw new SaasctlError('EXPORT_NOT_FOUND', `Export ${id} is ${found.status}, and not in the store but ${where}.`, {
      hint: 'Make another with "saasctl export create".'
    })
  }
  await refuseExisting(path)
  const content = await (await stores.open(found.store)).get(found.object)
  const place: Place = { kind: 'file', path }
  try {
    const event = tenantEvent(found.tenantId, 'export.download', { export: id })
    await catalog.transaction(actor, async tx => tx.audit(event))
    const { bytes, sha512 } = await landStream(stores, place, id, content, async sha512 => {
      if (sha512 !== found.sha512) throw another(id, found.store)
    })
    return { id, file: path, bytes, sha512 }
  } finally {
    content.destroy()
    await removeHalves(place, id)
  }
}

function another(id: string, store: string | null): SaasctlError {
  return new SaasctlError('CHECK_FOUND', `What the store ${store} has of export ${id} is not what was made.`, {
    hint: 'Make another with "saasctl export create", and look after the store.'
  })
}
