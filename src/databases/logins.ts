import type { Queryable } from '../catalog/catalog.js'
import { insertKeysAndLogins, type LoginRow, loginsOf, ownersOf, type SealedLogin } from '../catalog/logins.js'
import type { Credentials, DatabaseNames, LoginRole } from '../engines/engine.js'
import { loginRoles } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Secret } from '../secret.js'
import { newDataKey, openDataKey } from '../secrets/data-keys.js'
import type { KeyStore } from '../secrets/keystore.js'
import { openPassword, purposeOfLogin, randomPassword, sealPassword } from '../secrets/passwords.js'

/** Makes the two data keys and four passwords of a new database and seals them in the catalog, before any step sets them. */
export async function promiseLogins(
  q: Queryable,
  keys: KeyStore,
  databaseId: string,
  names: DatabaseNames
): Promise<void> {
  const routing = await newDataKey(keys, { databaseId, purpose: 'routing' })
  const control = await newDataKey(keys, { databaseId, purpose: 'control' })
  const logins = loginRoles.map((role): LoginRow => {
    const purpose = purposeOfLogin[role]
    const { dataKey } = purpose === 'routing' ? routing : control
    const name = names.logins[role]
    return {
      databaseId,
      role,
      name,
      purpose,
      keyVersion: dataKey.version,
      version: 1,
      sealed: sealPassword(dataKey, { login: name, version: 1 }, randomPassword())
    }
  })
  await insertKeysAndLogins(q, [routing.row, control.row], logins)
}

/** The logins of one database, opened when asked for. */
export class Logins {
  readonly #keys: KeyStore
  readonly #sealed: SealedLogin[]

  constructor(keys: KeyStore, sealed: SealedLogin[]) {
    this.#keys = keys
    this.#sealed = sealed
  }

  static async of(q: Queryable, keys: KeyStore, databaseId: string): Promise<Logins> {
    return new Logins(keys, await loginsOf(q, databaseId))
  }

  /** The owner logins of several databases, by their ids; one question to the catalog for all. */
  static async ownersOf(q: Queryable, keys: KeyStore, databaseIds: string[]): Promise<Map<string, Logins>> {
    return new Map([...(await ownersOf(q, databaseIds))].map(([id, sealed]) => [id, new Logins(keys, sealed)]))
  }

  async credentials(role: LoginRole): Promise<Credentials> {
    const login = this.#sealed.find(candidate => candidate.role === role)
    if (!login) throw new SaasctlError('KEY_MISSING', `The catalog holds no ${role} login for this database.`)
    const dataKey = await openDataKey(this.#keys, login.key)
    return {
      login: login.name,
      password: openPassword(dataKey, { login: login.name, version: login.version }, login.sealed)
    }
  }

  async passwords(): Promise<Record<LoginRole, Secret>> {
    const opened = await Promise.all(
      loginRoles.map(async role => [role, (await this.credentials(role)).password] as const)
    )
    return Object.fromEntries(opened) as Record<LoginRole, Secret>
  }
}
