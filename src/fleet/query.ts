import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { PlacedTenant, Selector } from '../catalog/tenants.js'
import type { Context } from '../operations/kind.js'
import { eachDatabase, type FailedTenant } from './each.js'

export interface FleetQuery {
  /** Where the SQL was read from; its last part stands in the audit trail. */
  file: string
  sql: string
  selector: Selector
  reason?: string | undefined
  concurrency: number
  timeoutMs: number
  /** Rows of each tenant at most. */
  maxRows: number
  /** Takes some rows of one tenant; the tenant's server waits until it is done. */
  take(slug: string, rows: Array<Record<string, unknown>>): Promise<void>
}

export interface QueriedFleet {
  tenants: number
  rows: number
  /** Slugs of tenants that had more rows than were read. */
  cut: string[]
  failed: FailedTenant[]
}

/**
 * Runs one statement in each tenant's database, as its read-only login. That it was asked for stands in the audit trail
 * before the first row is read, and afterwards how many tenants it reached. A tenant that fails stops no other.
 */
export async function queryFleet(
  context: Context,
  pages: AsyncIterable<PlacedTenant[]>,
  query: FleetQuery
): Promise<QueriedFleet> {
  const { timeoutMs, maxRows } = query
  const about = { file: basename(query.file), sha256: createHash('sha256').update(query.sql).digest('hex') }
  await record(context, 'fleet.query', { ...about, selector: { ...query.selector }, reason: query.reason })
  const result: QueriedFleet = { tenants: 0, rows: 0, cut: [], failed: [] }
  const { done, failed } = await eachDatabase(
    context,
    pages,
    query.concurrency,
    async ({ slug }, { engine, access, database, logins }) => {
      const login = await logins.credentials('readonly')
      const { rows, cut } = await engine.readRows(
        access,
        database.name,
        login,
        query.sql,
        { timeoutMs, maxRows },
        part => query.take(slug, part.map(plain))
      )
      result.rows += rows
      if (cut) result.cut.push(slug)
    }
  )
  const counts = { tenants: done, rows: result.rows, failed: failed.length }
  await record(context, 'fleet.query.done', { ...about, ...counts })
  return { ...result, tenants: done, failed }
}

async function record(
  { catalog, actor }: Context,
  action: string,
  payload: Parameters<Parameters<Parameters<typeof catalog.transaction>[1]>[0]['audit']>[0]['payload']
): Promise<void> {
  await catalog.transaction(actor, async tx => tx.audit({ chain: 'fleet', action, subject: 'fleet', payload }))
}

/** Bytes as PostgreSQL writes them: JSON has no form for them. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : value])
  )
}
