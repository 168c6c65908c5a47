import type { OperationRow } from '../catalog/operations.js'
import type { Step, Tools, Work } from '../operations/kind.js'
import { type ExportInput, type ExportWork, openExport } from './export-work.js'
import { makeExport } from './make.js'
import { recordMade } from './record.js'

/** What an operation has that ends a tenant, and hands its data over before. */
export interface HandingOver extends Work {
  readonly tools: Tools
  /** With `exportId` in its input when there is something to hand over. */
  readonly operation: OperationRow
  handed?: Work | undefined
}

/** The last export of a tenant, to the place and for the certificate that it was asked for with. Nothing, when none was. */
export const handOver: Step<HandingOver> = {
  name: 'hand over',
  act: async (work, progress, signal) => {
    const operation = work.operation as OperationRow<ExportInput>
    if (!operation.input.exportId) return
    const handed = await openExport(work.tools, operation)
    work.handed = handed
    handed.made = await makeExport(handed, progress, signal)
  },
  commit: async (tx, { handed }) => {
    if (handed) await recordMade(tx, handed as ExportWork)
  }
}
