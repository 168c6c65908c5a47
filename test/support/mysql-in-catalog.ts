import { uuidv7 } from '../../src/names.js'
import { newDataKey } from '../../src/secrets/data-keys.js'
import { sealPassword } from '../../src/secrets/passwords.js'
import type { ControlPlane } from './control-plane.js'
import type { MysqlServer } from './routed-mysql.js'

/**
 * Writes a server's tenants into the catalog as if they had been provisioned there, beside those that are on PostgreSQL: under
 * these slugs, in the server's order, with the plan and the template of the tenant `like`.
 */
export async function placeInCatalog(plane: ControlPlane, server: MysqlServer, slugs: string[], like: string) {
  const { keys } = plane.saasctl
  const serverId = uuidv7()
  const { host, port } = server.running
  await plane.catalogAsSuperuser(async client => {
    await client.query(
      `insert into saasctl.server (id, name, engine, host, port, tls, maintenance, control_login, control_password)
       values ($1, 'maria', 'mysql', $2, $3, '{"mode": "disable"}', 'mysql', 'nobody', '')`,
      [serverId, host, port]
    )
    for (const [index, slug] of slugs.entries()) {
      const tenant = server.tenants[index]
      if (!tenant) throw new Error(`There is no tenant for ${slug}.`)
      const { row, dataKey } = await newDataKey(keys, { databaseId: tenant.id, purpose: 'routing' })
      const sealed = sealPassword(dataKey, { login: tenant.as.login, version: 1 }, tenant.as.password)
      const tenantId = uuidv7()
      await client.query(
        `insert into saasctl.tenant (id, slug, status, plan, template)
         select $1, $2, 'active', plan, template from saasctl.tenant where slug = $3`,
        [tenantId, slug, like]
      )
      await client.query(
        `insert into saasctl.database (id, server_id, name, kind, template_id, state, limits, profile, migration)
         select $1, $2, $3, 'tenant', d.template_id, 'placed', d.limits, d.profile, d.migration from saasctl.database d
         join saasctl.placement p on p.database_id = d.id join saasctl.tenant t on t.id = p.tenant_id where t.slug = $4`,
        [tenant.id, serverId, tenant.database, like]
      )
      await client.query('insert into saasctl.placement (tenant_id, database_id) values ($1, $2)', [
        tenantId,
        tenant.id
      ])
      await client.query(
        `insert into saasctl.data_key (database_id, purpose, version, wrapped, master_key_id) values ($1, 'routing', 1, $2, $3)`,
        [tenant.id, row.wrapped, row.masterKeyId]
      )
      await client.query(
        `insert into saasctl.login (database_id, role, name, purpose, key_version, version, sealed)
         values ($1, 'app_a', $2, 'routing', 1, 1, $3)`,
        [tenant.id, tenant.as.login, sealed]
      )
    }
  })
}
