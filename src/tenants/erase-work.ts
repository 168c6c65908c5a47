import { copiesOf, databasesBefore } from '../catalog/copies.js'
import type { OperationRow } from '../catalog/operations.js'
import { type DatabaseParts, DatabaseWork, gather } from '../databases/work.js'
import type { Fence } from '../engines/engine.js'
import { type LoginRole, loginRoles } from '../engines/engine.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import type { Tools, Work } from '../operations/kind.js'
import type { EraseInput } from './erase.js'
import { REQUESTS_MS } from './suspend.js'

/** What erasing a tenant works on: its database while there is one, those it had before, its copies and its key. */
export class EraseWork implements Work {
  readonly operation: OperationRow
  readonly tools: Tools
  /** What makes its last export, while it is made. */
  handed: Work | undefined
  readonly #parts: DatabaseParts[]
  readonly #inside: DatabaseWork[]

  private constructor(tools: Tools, operation: OperationRow, parts: DatabaseParts[]) {
    this.tools = tools
    this.operation = operation
    this.#parts = parts
    this.#inside = parts.map(one => new DatabaseWork(operation, one))
  }

  static async open(tools: Tools, operation: OperationRow<EraseInput>): Promise<EraseWork> {
    const { databaseId, tenantId } = operation.input
    const before = await databasesBefore(tools.catalog, tenantId)
    const ids = databaseId === null ? before : [databaseId, ...before]
    return new EraseWork(tools, operation, await Promise.all(ids.map(id => gather(tools, id))))
  }

  get databaseIds(): string[] {
    return this.#parts.map(({ database }) => database.id)
  }

  async enter(fence: Fence): Promise<void> {
    for (const one of this.#inside) await one.enter(fence)
  }

  async leave(): Promise<void> {
    await this.handed?.leave?.()
    for (const one of this.#inside) await one.leave()
  }

  async closeLogins(roles: readonly LoginRole[]): Promise<void> {
    for (const { session, names } of this.#inside) await session.closeLogins(names, [...roles], REQUESTS_MS)
  }

  async dropDatabases(): Promise<void> {
    for (const { session, names } of this.#inside) {
      await session.dropDatabase(names)
      await session.dropLogins(names)
    }
  }

  /**
   * Backups and exports in stores, also what the catalog knows nothing of: what was left behind or never finished. What is
   * already gone is fine.
   */
  async deleteCopies(): Promise<void> {
    const { tools, operation } = this
    const { tenantId } = operation.input as EraseInput
    const copies = await copiesOf(tools.catalog, tenantId)
    for (const { store, object } of copies) await (await tools.stores.open(store)).remove(object)
    for (const url of new Set([tools.stores.usual, ...copies.map(({ store }) => store)])) {
      const store = await tools.stores.open(url)
      for (const prefix of [`backups/${tenantId}/`, `exports/${tenantId}/`]) {
        for await (const { name } of store.list(prefix)) await store.remove(name)
        await store.sweep(prefix, new Date(Date.now() + 60_000))
      }
    }
  }

  /** What was sealed with it, wherever a copy lies, opens for nobody from now on. */
  async destroyKey(): Promise<void> {
    const { tenantId } = this.operation.input as EraseInput
    await this.tools.keys.destroy(`tenant/${tenantId}`)
  }

  /** Looks from outside, as an attacker who kept everything would: the passwords are still in the catalog at this point. */
  async confirmGone(): Promise<void> {
    const { tenantId } = this.operation.input as EraseInput
    if ((await this.tools.keys.list()).includes(`tenant/${tenantId}`)) throw remains('its key is in the key store')
    for (const parts of this.#parts) await confirmDropped(parts)
  }
}

async function confirmDropped({ engine, access, server, names, logins, database }: DatabaseParts): Promise<void> {
  // Of one that was dropped long ago the catalog has no passwords to try.
  if (database.state === 'dropped') return
  const state = await engine.state(access, names)
  if (state.database !== 'absent') throw remains('its database is on the server')
  if (Object.values(state.logins).some(login => login !== 'absent')) throw remains('one of its logins is on the server')
  for (const role of loginRoles) {
    const credentials = await logins.credentials(role)
    const answer = await engine
      .identify(server, names.database, credentials, database.id)
      .then(() => undefined, asSaasctlError)
    if (answer === undefined) throw remains(`its ${role} login is let in`)
    if (answer.code === 'SERVER_UNREACHABLE') throw answer
  }
}

function remains(what: string): SaasctlError {
  return new SaasctlError('ISOLATION_BROKEN', `The tenant is not erased: ${what}.`, {
    hint: 'The operation tries again; see what has brought it back.',
    retryable: true
  })
}
