import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { finishExport } from '../catalog/exports.js'
import { SaasctlError } from '../errors.js'
import type { ExportWork } from './export-work.js'

/** What the catalog learns of an export that is whole, in the same transaction as "done". */
export async function recordMade(tx: Transaction, work: ExportWork): Promise<void> {
  const { id, tenantId, masked, reason, recipient, target } = work.row
  if (!work.made) throw new SaasctlError('FAILED', `Export ${id} was not made.`)
  const { landed, outcome, snapshot } = work.made
  // What somebody was handed as a file is theirs: no store of ours to fetch it from, or to erase it in.
  const ours = work.place.kind === 'store' ? landed : { ...landed, store: null, object: null }
  const done = {
    ...ours,
    position: snapshot.position,
    snapshotAt: snapshot.at,
    rowCount: outcome.rows,
    keyId: outcome.keyId
  }
  await finishExport(tx, id, done, target === null ? work.tools.grace.exportSeconds : null)
  const { store, object, sha512 } = landed
  const facts = { export: id, store, object, sha512, rows: outcome.rows, masked, reason, recipient }
  tx.audit(tenantEvent(tenantId, 'export.create', facts))
}
