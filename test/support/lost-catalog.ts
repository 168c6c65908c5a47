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
