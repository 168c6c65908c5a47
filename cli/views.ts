import type { NamedApproval } from '../src/catalog/approvals.js'
import type { OperationRow } from '../src/catalog/operations.js'
import type { ServerRow } from '../src/catalog/servers.js'
import type { PlacedTenant } from '../src/catalog/tenants.js'

/** A server as people and programs see it: without the sealed control password. */
export function serverView({ controlPassword: _sealed, tls, facts, ...server }: ServerRow) {
  const { name, engine, ...rest } = server
  return {
    name,
    engine,
    version: facts.version ?? null,
    ...rest,
    tls: tls.mode,
    capabilities: facts.capabilities ?? null
  }
}

export const serverColumns = [
  'name',
  'engine',
  'version',
  'host',
  'port',
  'region',
  'status',
  'databases',
  'capacity'
] as const

/** A tenant, the names that people look for first. */
export function tenantView({
  slug,
  displayName,
  status,
  plan,
  template,
  server,
  database,
  migration,
  ...rest
}: PlacedTenant) {
  return { slug, displayName, status, plan, template, server, database, migration, ...rest }
}

export const tenantColumns = ['slug', 'status', 'plan', 'server', 'database', 'migration', 'createdAt'] as const

export function operationView({ id, kind, status, actor, ...rest }: OperationRow & { slug?: string | null }) {
  const { subject, tenantId, attempt, cancelRequested, input, result, error, owner } = rest
  const { after, nextAt, leaseUntil, createdAt, finishedAt } = rest
  const tenant = rest.slug ?? (typeof input['slug'] === 'string' ? input['slug'] : null)
  const whoAndWhat = { id, kind, status, tenant, tenantId, subject, actor: actor.name, createdAt, finishedAt }
  return { ...whoAndWhat, attempt, cancelRequested, after, owner, leaseUntil, nextAt, input, result, error }
}

export const operationColumns = ['id', 'kind', 'status', 'tenant', 'actor', 'createdAt', 'finishedAt'] as const

export function approvalView({ id, action, tenant, status, reason, ...rest }: NamedApproval) {
  const { requester, requestedAt, expiresAt, decider, decidedAt, tenantId } = rest
  return { id, action, tenant, status, reason, requester, requestedAt, expiresAt, decider, decidedAt, tenantId }
}

export const approvalColumns = ['id', 'action', 'tenant', 'status', 'requester', 'reason', 'expiresAt'] as const
