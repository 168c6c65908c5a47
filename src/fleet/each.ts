import type { PlacedTenant } from '../catalog/tenants.js'
import { type DatabaseParts, gather } from '../databases/work.js'
import { asSaasctlError, type SaasctlError } from '../errors.js'
import type { Tools } from '../operations/kind.js'

/** A tenant that could not be looked at; the others were. */
export interface FailedTenant {
  tenant: PlacedTenant
  error: SaasctlError
}

/**
 * Does the same in each tenant's database, `concurrency` at once and no more tenants in memory than a page. What fails in one
 * is told and stops no other; a server that was once not reached is not tried again for its other tenants.
 */
export async function eachDatabase(
  tools: Tools,
  pages: AsyncIterable<PlacedTenant[]>,
  concurrency: number,
  act: (tenant: PlacedTenant, parts: DatabaseParts) => Promise<void>
): Promise<{ done: number; failed: FailedTenant[] }> {
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency })
  const down = new Map<string, SaasctlError>()
  const failed: FailedTenant[] = []
  let done = 0
  const one = async (tenant: PlacedTenant) => {
    const server = tenant.server ?? ''
    try {
      const known = down.get(server)
      if (known) throw known
      if (tenant.databaseId === null) return
      await act(tenant, await gather(tools, tenant.databaseId))
      done += 1
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      if (error.code === 'SERVER_UNREACHABLE') down.set(server, error)
      failed.push({ tenant, error })
    }
  }
  for await (const page of pages) {
    for (const tenant of page) {
      await queue.onSizeLessThan(concurrency)
      void queue.add(() => one(tenant))
    }
  }
  await queue.onIdle()
  return { done, failed }
}
