import type { LoginRole } from '../engines/engine.js'
import { prepared, type Queryable } from './catalog.js'

export type KeyPurpose = 'routing' | 'control'

export interface DataKeyRow {
  databaseId: string
  purpose: KeyPurpose
  version: number
  wrapped: Buffer
  masterKeyId: string
}

export interface LoginRow {
  databaseId: string
  role: LoginRole
  name: string
  purpose: KeyPurpose
  keyVersion: number
  /** Counts the passwords this login has had; part of what the ciphertext is bound to. */
  version: number
  sealed: Buffer
}

export async function insertKeysAndLogins(q: Queryable, keys: DataKeyRow[], logins: LoginRow[]): Promise<void> {
  await q.query(
    `with k as (
       insert into saasctl.data_key (database_id, purpose, version, wrapped, master_key_id)
       select * from unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[], $5::text[]))
     insert into saasctl.login (database_id, role, name, purpose, key_version, version, sealed)
     select * from unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::int[], $11::int[], $12::bytea[])`,
    [
      keys.map(key => key.databaseId),
      keys.map(key => key.purpose),
      keys.map(key => key.version),
      keys.map(key => key.wrapped),
      keys.map(key => key.masterKeyId),
      logins.map(login => login.databaseId),
      logins.map(login => login.role),
      logins.map(login => login.name),
      logins.map(login => login.purpose),
      logins.map(login => login.keyVersion),
      logins.map(login => login.version),
      logins.map(login => login.sealed)
    ]
  )
}

export interface SealedLogin extends LoginRow {
  key: DataKeyRow
}

type JoinedLogin = LoginRow & { wrapped: Buffer; masterKeyId: string }

const sealedLogins = `select l.database_id as "databaseId", l.role, l.name, l.purpose, l.key_version as "keyVersion", l.version,
    l.sealed, k.wrapped, k.master_key_id as "masterKeyId"
  from saasctl.login l
  join saasctl.data_key k on k.database_id = l.database_id and k.purpose = l.purpose and k.version = l.key_version`

const sealedLogin = ({ wrapped, masterKeyId, ...login }: JoinedLogin): SealedLogin => ({
  ...login,
  key: { databaseId: login.databaseId, purpose: login.purpose, version: login.keyVersion, wrapped, masterKeyId }
})

/** The logins of a database, each with the data key that its password is sealed with. */
export async function loginsOf(q: Queryable, databaseId: string): Promise<SealedLogin[]> {
  const rows = await q.query<JoinedLogin>(prepared(`${sealedLogins} where l.database_id = $1`), [databaseId])
  return rows.map(sealedLogin)
}

/** The owner logins of many databases in one query, by database. */
export async function ownersOf(q: Queryable, databaseIds: string[]): Promise<Map<string, SealedLogin[]>> {
  const rows = await q.query<JoinedLogin>(`${sealedLogins} where l.database_id = any($1) and l.role = 'owner'`, [
    databaseIds
  ])
  return new Map(rows.map(row => [row.databaseId, [sealedLogin(row)]]))
}

/** A dropped database needs no passwords: what is not kept cannot be stolen. */
export async function forgetLogins(q: Queryable, databaseId: string): Promise<void> {
  await q.query('delete from saasctl.login where database_id = $1', [databaseId])
  await q.query('delete from saasctl.data_key where database_id = $1', [databaseId])
}

/** How many data keys each master key holds, by its id. */
export async function masterKeysInUse(
  q: Queryable
): Promise<Array<{ purpose: KeyPurpose; masterKeyId: string; count: number }>> {
  return q.query(
    `select purpose, master_key_id as "masterKeyId", count(*)::int as count from saasctl.data_key group by 1, 2 order by 1, 2`
  )
}
