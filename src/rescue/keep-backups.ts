import { tenantEvent } from '../catalog/audit.js'
import { completeBackup, insertBackup } from '../catalog/backups.js'
import { databaseById } from '../catalog/databases.js'
import { keepDropped, knownTenants, reviveTenant, templateVersion } from '../catalog/recoveries.js'
import { serverByName } from '../catalog/servers.js'
import type { Context } from '../operations/kind.js'
import { currentPlan, currentTemplate, profileOf } from '../templates/register.js'
import type { FoundBackup } from './manifests.js'

/**
 * Lists backups again that were made after the catalog's own. Of a tenant that is nowhere else it is written down that there
 * was one: its backups can be restored as another tenant.
 */
export async function keepBackups(context: Context, found: readonly FoundBackup[]): Promise<void> {
  for (const backup of found) await keepBackup(context, backup)
}

async function keepBackup(context: Context, { store, object, keyId, manifest }: FoundBackup): Promise<void> {
  const { tenant, database, backup: id } = manifest
  const server = await serverByName(context.catalog, database.server)
  if (!server) return
  const plan = await currentPlan(context, tenant.plan)
  const templateId =
    (await templateVersion(context.catalog, tenant.template, tenant.templateVersion)) ??
    (await currentTemplate(context, tenant.template)).id
  await context.catalog.transaction(context.actor, async tx => {
    if (!(await knownTenants(tx, [tenant.id])).has(tenant.id)) await reviveTenant(tx, { ...tenant, status: 'purged' })
    if (!(await databaseById(tx, database.id))) {
      const { limits } = plan.definition
      await keepDropped(tx, {
        id: database.id,
        serverId: server.id,
        name: database.name,
        templateId,
        limits,
        profile: profileOf(plan)
      })
    }
    await insertBackup(tx, {
      id,
      tenantId: tenant.id,
      databaseId: database.id,
      operationId: null,
      reason: 'manual',
      store
    })
    await completeBackup(tx, {
      id,
      object: manifest.object.name,
      manifest: object,
      keyId,
      bytes: manifest.object.bytes,
      rowCount: Object.values(manifest.rows).reduce((sum, rows) => sum + rows, 0),
      format: manifest.format,
      tool: manifest.tool,
      migration: manifest.migration,
      takenAt: new Date(manifest.takenAt)
    })
    tx.audit(tenantEvent(tenant.id, 'backup.found', { backup: id, store }))
  })
}
