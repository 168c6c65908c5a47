import type { Json } from '../canonical.js'
import { DatabaseWork, gather } from '../databases/work.js'
import type { LoginRole } from '../engines/engine.js'
import type { Kind } from '../operations/kind.js'

interface CloseInput extends Record<string, Json> {
  databaseId: string
  roles: LoginRole[]
  seal: boolean
}

/** Closes doors that the catalog says are closed and that somebody opened past it. Only forward, and repeatable. */
export const databaseClose: Kind<CloseInput, DatabaseWork> = {
  name: 'database.close',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'start',
  open: async (tools, operation) => new DatabaseWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'close',
      act: async ({ session, names, operation }) => {
        const { roles, seal } = operation.input as CloseInput
        if (seal) await session.sealDatabase(names)
        await session.closeLogins(names, roles)
      }
    }
  ]
}
