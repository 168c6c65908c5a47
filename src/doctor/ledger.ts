import { isOver, listOperations, type OperationRow, operationById, orphanedOperations } from '../catalog/operations.js'
import { resumeOperation } from '../operations/inspect.js'
import type { Context } from '../operations/kind.js'
import { type Diagnosis, type Mend, mendable, warning } from './finding.js'
import { begunBeforeAdoption, secondsSince } from './queries/operations.js'

/** While a worker lives, an operation that has been due for less than this is only waiting for its turn. */
const PATIENCE_SECONDS = 60
/** As many tries as a server's restart takes, and some. */
const MANY_TRIES = 8

/**
 * Operations that nobody works, and operations that do not get on. One from before a restore is left to people: it may
 * have ended well in the catalog that was lost, and taking it back would drop what a tenant has now.
 */
export async function checkLedger(context: Context): Promise<Diagnosis[]> {
  const orphans = await withoutOwner(context)
  const ids = new Set(orphans.map(({ id }) => id))
  const past = await begunBeforeAdoption(context.catalog, [...ids])
  const known = new Set(context.operations.settings.kinds.names)
  const open = await listOperations(context.catalog, { open: true, limit: 1000 })
  return [
    ...orphans.map(one => {
      if (past.has(one.id))
        return orphaned(one, ' It was begun before the catalog was restored: find out how it ended then.')
      if (!known.has(one.kind)) return orphaned(one, ' This saasctl does not know it: a newer one has begun it.')
      return mendable(orphaned(one), resume(one.id))
    }),
    ...open.filter(({ id, attempt }) => attempt >= MANY_TRIES && !ids.has(id)).map(failing)
  ]
}

async function withoutOwner({ catalog, operations }: Context): Promise<OperationRow[]> {
  const orphans = await orphanedOperations(catalog)
  if (orphans.length === 0 || !(await operations.haveWorker())) return orphans
  const waited = await secondsSince(catalog, orphans.map(dueAt))
  return orphans.filter((_, index) => (waited[index] ?? 0) > PATIENCE_SECONDS)
}

const dueAt = ({ leaseUntil, nextAt }: OperationRow) => (leaseUntil && leaseUntil > nextAt ? leaseUntil : nextAt)

function orphaned(operation: OperationRow, more = ''): Diagnosis {
  const { id, kind, status } = operation
  const message = `Operation ${kind} is ${status} and nobody has worked it since ${dueAt(operation).toISOString()}.${more}`
  return warning(
    'operation.orphaned',
    `operation:${id}`,
    message,
    `saasctl operation ${more ? 'show' : 'resume'} ${id}`
  )
}

function failing({ id, kind, attempt, error }: OperationRow): Diagnosis {
  const reason = error ? ` The last try ended with: ${error.message}` : ''
  const message = `Operation ${kind} was tried ${attempt} times and goes on trying.${reason}`
  return warning('operation.failing', `operation:${id}`, message, error?.hint)
}

/** Mended means over: an operation that fails has taken back what it made. */
function resume(id: string): Mend {
  return async (context, follow) => {
    try {
      await resumeOperation(context, id, follow)
    } catch (error) {
      const now = await operationById(context.catalog, id)
      if (now && !isOver(now.status)) throw error
    }
  }
}
