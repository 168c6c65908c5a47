import type { Transaction } from '../catalog/catalog.js'
import { type DatabaseRow, insertDatabase } from '../catalog/databases.js'
import { type ServerRow, takePlace } from '../catalog/servers.js'
import { promiseLogins } from '../databases/logins.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'

/** Promises a database beside another one: same server, same template, its logins sealed. NO_SERVER when there is no room. */
export async function promiseBeside(
  tx: Transaction,
  { engine, keys }: Pick<Context, 'engine' | 'keys'>,
  server: ServerRow,
  like: Pick<DatabaseRow, 'templateId' | 'limits' | 'profile'>
): Promise<string> {
  if (!(await takePlace(tx, server.id))) {
    throw new SaasctlError(
      'NO_SERVER',
      `Server ${server.name} has no room for a second database beside the tenant’s.`,
      {
        hint: `Raise its capacity with "saasctl server update ${server.name} --capacity N".`
      }
    )
  }
  const id = uuidv7()
  const names = (await engine(server.engine)).names(id)
  const { templateId, limits, profile } = like
  await insertDatabase(tx, {
    id,
    serverId: server.id,
    name: names.database,
    kind: 'tenant',
    templateId,
    limits,
    profile
  })
  await promiseLogins(tx, keys, id, names)
  return id
}
