import pg from 'pg'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { hba as embeddedHba } from '../../src/embedded/cluster.js'
import type { Saasctl } from '../../src/saasctl.js'
import type { ControlPlane } from './control-plane.js'
import { asSuperuser } from './servers.js'

/** For `controlPlane`: its server lets owners and control logins into these catalogs too. */
export const withCatalogs = (...names: string[]) =>
  embeddedHba.replace(
    'host all all all reject',
    names.map(name => `host ${name} all 127.0.0.1/32 scram-sha-256\n`).join('')
  )

/** Another empty catalog database on the plane's server; gives its owner's URL. */
export async function anotherDatabase(plane: ControlPlane, database: string): Promise<string> {
  await asSuperuser(plane.server, client =>
    client.query(`create database ${pg.escapeIdentifier(database)} owner saasctl_admin`)
  )
  const url = new URL(plane.adminUrl)
  url.pathname = `/${database}`
  return url.href
}

/** The catalog is gone, with everybody who was connected to it. */
export async function loseCatalog(plane: ControlPlane): Promise<void> {
  await plane.saasctl.close()
  await asSuperuser(plane.server, client => client.query('drop database saasctl with (force)'))
}

/** Opens the control plane on a catalog that was restored, with a login of its own, as an operator would. */
export async function openRestored(plane: ControlPlane, adminUrl: string): Promise<{ saasctl: Saasctl; url: string }> {
  const { url } = await createCatalogLogin(adminUrl, 'control', { name: 'tester', proof: 'asserted' })
  return { saasctl: await plane.another({ SAASCTL_CATALOG_URL: url }), url }
}

/** Takes a tenant out of the catalog as if the catalog were older than it. */
export async function forget(client: pg.Client, slug: string): Promise<void> {
  const { rows } = await client.query<{ tenant: string; database: string }>(
    `select t.id as tenant, p.database_id as database from saasctl.tenant t join saasctl.placement p on p.tenant_id = t.id
     where t.slug = $1`,
    [slug]
  )
  const [{ tenant, database } = { tenant: '', database: '' }] = rows
  await client.query('begin')
  await client.query(
    `update saasctl.server set databases = databases - 1
     where id = (select server_id from saasctl.database where id = $1)`,
    [database]
  )
  for (const [table, column, value] of [
    ['placement', 'tenant_id', tenant],
    ['login', 'database_id', database],
    ['data_key', 'database_id', database],
    ['unbound', 'database_id', database],
    ['database', 'id', database],
    ['operation_step', 'operation_id', `(select id from saasctl.operation where tenant_id = '${tenant}')`],
    ['operation', 'tenant_id', tenant],
    ['tenant', 'id', tenant],
    ['audit_event', 'chain', `tenant:${tenant}`],
    ['audit_payload', 'chain', `tenant:${tenant}`],
    ['audit_chain', 'chain', `tenant:${tenant}`]
  ] as const) {
    const these = value.startsWith('(') ? value : `('${value}')`
    await client.query(`delete from saasctl.${table} where ${column} in ${these}`)
  }
  await client.query('commit')
}
