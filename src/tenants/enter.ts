import { tenantEvent } from '../catalog/audit.js'
import { gather } from '../databases/work.js'
import type { LoginRole, ShellCommand } from '../engines/engine.js'
import type { Context } from '../operations/kind.js'
import { databaseIdOfTenant, mustFind } from './find.js'

/**
 * The tenant's connection string: the app login's, or the read-only one's. The password stands in it only with `reveal`,
 * and that is written down in the audit trail before it is shown.
 */
export async function tenantDsn(
  context: Context,
  slug: string,
  options: { readOnly: boolean; reveal: boolean; reason?: string | undefined }
): Promise<string> {
  const tenant = await mustFind(context.catalog, slug)
  const { engine, server, database, names, logins } = await gather(context, databaseIdOfTenant(tenant))
  const role: LoginRole = options.readOnly ? 'readonly' : database.activeApp
  if (!options.reveal) return engine.dsn(server, database.name, names.logins[role])
  await context.catalog.transaction(context.actor, async tx =>
    tx.audit(tenantEvent(tenant.id, 'tenant.dsn.reveal', { login: names.logins[role], reason: options.reason }))
  )
  const { login, password } = await logins.credentials(role)
  return engine.dsn(server, database.name, login, password.reveal())
}

/** The engine's own shell, ready to run as the read-only login, or as the app login with `write`. Every session is audited. */
export async function tenantShell(
  context: Context,
  slug: string,
  options: { write: boolean; reason?: string | undefined }
): Promise<ShellCommand> {
  const tenant = await mustFind(context.catalog, slug)
  const { engine, access, database, logins } = await gather(context, databaseIdOfTenant(tenant))
  const credentials = await logins.credentials(options.write ? database.activeApp : 'readonly')
  await context.catalog.transaction(context.actor, async tx =>
    tx.audit(
      tenantEvent(tenant.id, 'tenant.shell', { login: credentials.login, write: options.write, reason: options.reason })
    )
  )
  return engine.shell(access, database.name, credentials, { readOnly: !options.write })
}
