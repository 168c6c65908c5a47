import type { Json } from '../canonical.js'
import type { ListedExport } from '../catalog/exports.js'
import { exportById } from '../catalog/exports.js'
import { confirmEpoch } from '../catalog/ledger.js'
import type { OperationRow } from '../catalog/operations.js'
import { type DatabaseParts, gather } from '../databases/work.js'
import { SaasctlError } from '../errors.js'
import type { Tools, Work } from '../operations/kind.js'
import type { Made } from './make.js'
import { type Place, placeOf, removeHalves } from './target.js'

export interface ExportInput extends Record<string, Json> {
  tenantId: string
  databaseId: string
  slug: string
  exportId: string
}

/** What making an export shares. It acts on no server, so it needs no fence there: it asks the ledger before it names a file. */
export class ExportWork implements Work {
  readonly operation: OperationRow<ExportInput>
  readonly tools: Tools
  readonly row: ListedExport
  readonly place: Place
  made: Made | undefined

  constructor(operation: OperationRow<ExportInput>, tools: Tools, row: ListedExport) {
    this.operation = operation
    this.tools = tools
    this.row = row
    const sealed = row.certificate === null ? '' : '.p7m'
    this.place = placeOf(row.target, `exports/${row.tenantId}/${row.id}.${row.container}${sealed}`)
  }

  /** Read when first needed: the way back needs no database. */
  parts(): Promise<DatabaseParts> {
    return gather(this.tools, this.operation.input.databaseId)
  }

  confirm(): Promise<void> {
    return confirmEpoch(this.tools.catalog, this.operation)
  }

  async leave(): Promise<void> {
    if (this.made) await removeHalves(this.place, this.row.id)
  }
}

export async function openExport(tools: Tools, operation: OperationRow<ExportInput>): Promise<ExportWork> {
  const row = await exportById(tools.catalog, operation.input.exportId)
  if (!row) throw new SaasctlError('EXPORT_NOT_FOUND', `The catalog has no export ${operation.input.exportId}.`)
  return new ExportWork(operation, tools, row)
}
