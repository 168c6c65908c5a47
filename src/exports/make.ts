import { findTenant } from '../catalog/tenants.js'
import type { LineFormat, Snapshot } from '../engines/snapshot.js'
import { loadTemplate } from '../templates/files.js'
import { encryptTo } from './encrypt.js'
import type { ExportWork } from './export-work.js'
import { type MaskRules, Masks } from './mask.js'
import { archivePack, folderPack } from './pack.js'
import { schemaAt, schemaBefore } from './schema.js'
import { type Landed, landFolder, landStream, removeTries } from './target.js'
import { type Contents, type Outcome, writeBag } from './write.js'

export interface Made {
  landed: Landed
  outcome: Outcome
  snapshot: Pick<Snapshot, 'position' | 'at'>
}

/** Makes the whole file from one moment of the database. What an earlier try left goes first; the first has none before it. */
export async function makeExport(
  work: ExportWork,
  progress: (sentence: string) => void,
  signal: AbortSignal
): Promise<Made> {
  const { row, tools, place } = work
  if (work.operation.epoch > 1) await removeTries(tools.stores, place, row.id)
  const parts = await work.parts()
  const template = (await findTenant(tools.catalog, row.tenantId))?.template ?? ''
  const rules = row.masked ? await rulesOf(work, template) : {}
  const masks = await Masks.of(rules, tools.keys, row.tenantId)
  const before = await schemaBefore(parts)
  const snapshot = await parts.engine.openSnapshot(
    parts.access,
    parts.names.database,
    await parts.logins.credentials('readonly'),
    { signal }
  )
  try {
    const schema = await schemaAt(parts, snapshot, before, signal)
    const { actor, createdAt, reason, formats, id } = row
    const asked = { by: actor.name, proof: actor.proof, at: createdAt.toISOString(), reason }
    const wish = { id, formats: formats as LineFormat[], asked }
    const tenant = { id: row.tenantId, slug: row.slug }
    const contents: Contents = { parts, tenant, template, export: wish, masks, snapshot, schema, signal, progress }
    const { landed, outcome } = await land(work, contents)
    return { landed, outcome, snapshot }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    await snapshot.end()
  }
}

async function rulesOf({ tools }: ExportWork, template: string): Promise<MaskRules> {
  return (await loadTemplate(tools.folders.templates, template)).definition.export?.mask ?? {}
}

async function land(work: ExportWork, contents: Contents): Promise<{ landed: Landed; outcome: Outcome }> {
  const { row, tools, place } = work
  const confirm = () => work.confirm()
  if (row.container === 'folder' && place.kind === 'file') {
    let outcome: Outcome | undefined
    const fill = async (folder: string) => {
      const pack = folderPack(folder)
      let bytes = 0
      const add: typeof pack.add = async (path, content) => {
        const written = await pack.add(path, content)
        bytes += written.bytes
        return written
      }
      outcome = await writeBag({ ...pack, add }, contents)
      return bytes
    }
    const landed = await landFolder(place.path, row.id, fill, confirm)
    return { landed, outcome: outcome as Outcome }
  }
  const top = `${row.slug}-export-${row.id.slice(-12)}`
  const pack = await archivePack(row.container === 'zip' ? 'zip' : 'tar.gz', top, contents.snapshot.at)
  const stream = row.certificate === null ? pack.output : await encryptTo(row.certificate, pack.output, tools.path)
  const landing = landStream(tools.stores, place, row.id, stream, confirm)
  // Whoever fails first says why; the other ends because of it.
  const writing = writeBag(pack, contents).catch((error: Error) => {
    pack.output.destroy(error)
    throw error
  })
  const [written, landed] = await Promise.allSettled([writing, landing])
  if (landed.status === 'rejected') throw landed.reason
  if (written.status === 'rejected') throw written.reason
  return { landed: landed.value, outcome: written.value }
}
