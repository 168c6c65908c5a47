import type { Json } from '../canonical.js'
import type { Transaction } from '../catalog/catalog.js'
import { setDatabaseState } from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import type { Kind } from '../operations/kind.js'
import { type OperationWish, startOperation } from '../operations/start.js'
import { dropSteps, recordDropped } from './drop-steps.js'
import { DatabaseWork, gather } from './work.js'

export interface DropInput extends Record<string, Json> {
  databaseId: string
}

/** Drops a database that no tenant has: an outdated template, a warm one that is not wanted, what an abandoned create left. */
export const databaseDrop: Kind<DropInput, DatabaseWork> = {
  name: 'database.drop',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'start',
  open: async (tools, operation) => new DatabaseWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    ...dropSteps,
    {
      name: 'forget it',
      commit: async (tx, { database }) => {
        await recordDropped(tx, database.id)
        tx.audit({
          chain: 'database',
          action: 'database.drop',
          subject: `database:${database.id}`,
          payload: { name: database.name }
        })
      }
    }
  ]
}

/** Promises to drop a database; it is nobody's from this transaction on. */
export async function startDrop(
  tx: Transaction,
  databaseId: string,
  wish: Pick<OperationWish<DropInput>, 'actor' | 'claim'>
): Promise<OperationRow> {
  await setDatabaseState(tx, databaseId, 'dropping')
  return startOperation(tx, { kind: databaseDrop, input: { databaseId }, subject: `database:${databaseId}`, ...wish })
}
