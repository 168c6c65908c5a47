import { tenantEvent } from '../catalog/audit.js'
import {
  exportById,
  insertExport,
  mayChange,
  type NewExport,
  requestExport,
  setExportStatus
} from '../catalog/exports.js'
import type { OperationRow } from '../catalog/operations.js'
import { findTenant, lockTenant, type PlacedTenant } from '../catalog/tenants.js'
import type { LineFormat } from '../engines/snapshot.js'
import { SaasctlError } from '../errors.js'
import { quoteInput, uuidv7 } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { startOperation } from '../operations/start.js'
import { holds } from '../stores/store.js'
import { certificateIn, noCertificate } from './encrypt.js'
import { type ExportInput, type ExportWork, openExport } from './export-work.js'
import { makeExport } from './make.js'
import type { Container } from './pack.js'
import { recordMade } from './record.js'
import { placeOf, refuseExisting, removeTries } from './target.js'

/** One step: what it learns of the file is written down together with "done", or the file is made again. */
export const exportCreate: Kind<ExportInput, ExportWork> = {
  name: 'export.create',
  inputVersion: 1,
  exclusion: 'shared',
  open: openExport,
  steps: [
    {
      name: 'write the bag',
      act: async (work, progress, signal) => {
        work.made = await makeExport(work, progress, signal)
      },
      commit: recordMade,
      undo: async ({ tools, place, row }) => removeTries(tools.stores, place, row.id)
    }
  ],
  result: ({ row, made }) => ({ export: row.id, store: made?.landed.store, object: made?.landed.object }),
  failed: async (tx, { input, error }) => {
    await setExportStatus(tx, input.exportId, 'failed')
    tx.audit(tenantEvent(input.tenantId, 'export.failed', { export: input.exportId, code: error?.code }))
  }
}

export interface ExportWish {
  formats: LineFormat[]
  container: Container
  /** `file:///PATH` on this machine or `s3://BUCKET/NAME`; null is the store. */
  target: string | null
  /** Applies the template's rules. */
  masked: boolean
  /** PEM of whoever alone may read it. */
  certificate: string | null
  reason: string
}

/**
 * Asks for an export and follows it. A file of this machine is made by this process; everything else by a worker when one
 * lives. A login that may not change the catalog asks, and a worker makes it. TENANT_STATE without a database.
 */
export async function createExport(
  context: Context,
  slug: string,
  wish: ExportWish,
  wait: Follow & { wait: boolean }
): Promise<{ id: string; operationId: string; operation: OperationRow | undefined }> {
  await checkWish(context, wish)
  const certificate = wish.certificate === null ? null : certificateIn(wish.certificate)
  const promised = { ...wish, certificate, id: uuidv7(), operationId: uuidv7(), actor: context.actor }
  if (!(await mayChange(context.catalog))) return ask(context, slug, promised)
  const tenant = await mustHaveDatabase(context, slug)
  const row = { ...promised, tenantId: tenant.id }
  const local = wish.target?.startsWith('file:') ?? false
  const { owner, leaseMs } = context.operations.settings
  const claim = local ? { owner, leaseMs } : await context.operations.claim(wait.wait)
  const started = await context.catalog.transaction(context.actor, async tx => {
    await lockTenant(tx, tenant.id)
    const { databaseId, slug } = await mustHaveDatabase({ catalog: tx }, tenant.id)
    const operation = await startOperation<ExportInput>(tx, {
      kind: exportCreate,
      input: { tenantId: tenant.id, databaseId, slug, exportId: row.id },
      subject: `tenant:${tenant.id}`,
      tenantId: tenant.id,
      actor: context.actor,
      claim
    })
    const { recipient } = await insertExport(tx, { ...row, operationId: operation.id })
    const { masked, reason } = wish
    tx.audit(tenantEvent(tenant.id, 'export.ask', { export: row.id, masked, reason, recipient }))
    return operation
  })
  const operation = wait.wait || local ? await context.operations.follow(started, wait) : started
  return { id: row.id, operationId: started.id, operation }
}

/** What a login may do that may not change the catalog. */
async function ask({ catalog, tokenHash = null }: Context, slug: string, wish: Omit<NewExport, 'tenantId'>) {
  if (wish.target !== null) {
    throw new SaasctlError('NOT_ALLOWED', 'This login may ask for an export into the store alone.', {
      hint: 'Leave --out away; a worker makes it, and "saasctl export show" says where it is.'
    })
  }
  const answer = await requestExport(catalog, { ...wish, tenant: slug, tokenHash })
  if (answer === 'asked') return { id: wish.id, operationId: wish.operationId, operation: undefined }
  if (answer === 'busy') {
    throw new SaasctlError('TENANT_BUSY', 'Another operation is at work on this tenant.', {
      hint: 'Ask again when it is over.'
    })
  }
  if (answer === 'certificate') throw noCertificate()
  if (answer === 'token') {
    throw new SaasctlError('NOT_ALLOWED', 'The operator’s token is not known any more.', {
      hint: 'Ask an admin for a new one: saasctl operator token NAME'
    })
  }
  throw new SaasctlError('TENANT_NOT_FOUND', `There is no tenant ${quoteInput(slug)} that can be exported.`, {
    hint: 'It must be active or suspended.'
  })
}

/** INVALID_INPUT for what could not be made, before anything is promised. */
export async function checkWish({ stores }: Pick<Context, 'stores'>, wish: ExportWish): Promise<void> {
  const fail = (message: string, hint: string) => new SaasctlError('INVALID_INPUT', message, { hint })
  if (wish.reason.trim() === '')
    throw fail('An export has a reason.', 'Say it with --reason; the trail and the attestation keep it.')
  if (wish.reason.length > 1000) throw fail('The reason is longer than 1,000 characters.', 'Say it shorter.')
  if (wish.formats.length === 0) throw fail('An export has at least one format.', 'Name jsonl, csv or both.')
  if (wish.certificate !== null) certificateIn(wish.certificate)
  if (wish.container === 'folder') {
    if (wish.certificate !== null) throw fail('A folder cannot be encrypted.', 'Use .tar.gz or .zip.')
    if (placeOf(wish.target, 'none').kind === 'store') throw fail('A store takes no folders.', 'Use .tar.gz or .zip.')
  }
  if (wish.target === null) return
  const place = placeOf(wish.target, 'none')
  if (place.kind === 'file') return refuseExisting(place.path)
  const store = await stores.open(place.url ?? stores.usual)
  if (await holds(store, place.object))
    throw fail(`${store.url}/${place.object} is there already, and is not written over.`, 'Name another.')
}

async function mustHaveDatabase(
  { catalog }: Pick<Context, 'catalog'> | { catalog: Parameters<typeof findTenant>[0] },
  slug: string
): Promise<PlacedTenant & { databaseId: string }> {
  const tenant = await findTenant(catalog, slug)
  if (!tenant) {
    throw new SaasctlError('TENANT_NOT_FOUND', `There is no tenant ${quoteInput(slug)}.`, {
      hint: 'List them with "saasctl tenant list".'
    })
  }
  const { databaseId } = tenant
  if (databaseId !== null && ['active', 'suspended'].includes(tenant.status)) return { ...tenant, databaseId }
  throw new SaasctlError('TENANT_STATE', `Tenant ${tenant.slug} is ${tenant.status} and cannot be exported.`, {
    hint: 'An export reads as the tenant’s read-only login, which is open while the tenant is active or suspended.'
  })
}

/** The export, or EXPORT_NOT_FOUND. */
export async function mustFindExport({ catalog }: Pick<Context, 'catalog'>, id: string) {
  const found = await exportById(catalog, id)
  if (found) return found
  throw new SaasctlError('EXPORT_NOT_FOUND', `There is no export ${quoteInput(id)}.`, {
    hint: 'List them with "saasctl export list".'
  })
}
