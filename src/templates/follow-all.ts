import type { OperationRow } from '../catalog/operations.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'

/**
 * Two at a time: the limit of one server is file creation, and two were the best on two cores. One that fails stops no other;
 * the first error is thrown when all are over.
 */
export async function followAll(context: Context, operations: OperationRow[], follow: Follow): Promise<void> {
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency: 2 })
  const all = await Promise.allSettled(
    operations.map(operation => queue.add(() => context.operations.follow(operation, follow)))
  )
  for (const one of all) if (one.status === 'rejected') throw one.reason
}
