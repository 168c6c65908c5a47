import { asSaasctlError, type ErrorRecord, SaasctlError } from '../src/errors.js'
import type { TenantOutcome } from '../src/tenants/work.js'
import { agree } from './confirm.js'
import type { Act } from './dry-run.js'
import type { Session } from './session.js'
import { plural } from './text.js'
import { operationView, tenantView } from './views.js'

export type Outcome = TenantOutcome | (Omit<TenantOutcome, 'operation'> & { operation: null })
type OnTenant = Act<Outcome>

/** What became of one of several tenants. */
interface Line {
  slug: string
  result: 'done' | 'started' | 'failed' | 'left'
  status: string | null
  operation: string | null
  error: ErrorRecord | null
  message: string | null
}

/**
 * Does the same to every tenant. One tenant is one act, and its error is the command's; several are asked about first, one's
 * failure stops no other, and SOME_FAILED names those that failed.
 */
export async function onTenants(session: Session, slugs: string[], verb: string, act: OnTenant): Promise<void> {
  const [only, ...others] = slugs
  if (only !== undefined && others.length === 0) return onOne(session, only, act)
  if (only === undefined) return session.progress.notice('No tenant fits; nothing was changed.')
  await agree(`${plural(slugs.length, 'tenant')} will be ${verb}: ${listed(slugs)}.`, session.flags)
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency: session.saasctl.config.concurrency })
  const lines = await Promise.all(slugs.map(slug => queue.add(() => lineOf(session, slug, act))))
  session.progress.clear()
  session.print.list(lines, ['slug', 'result', 'status', 'operation', 'message'])
  const started = lines.find(line => line.result === 'started')
  if (started?.operation) await sayWhoWorks(session.saasctl.operations, started.operation, session.progress)
  report(session, lines, verb)
}

async function onOne(session: Session, slug: string, act: OnTenant): Promise<void> {
  await printOutcome(session, await act(session.saasctl, slug, session.wait()))
}

/** One tenant and the operation on it, as every command that changes a tenant prints them. */
export async function printOutcome(
  { print, progress, flags, saasctl }: Session,
  { tenant, operation }: Outcome
): Promise<void> {
  progress.clear()
  const view = tenantView(tenant)
  if (print.forPrograms) print.one({ tenant: view, operation: operation && operationView(operation) })
  else print.list([view], ['slug', 'status', 'plan', 'server', 'database', 'migration', 'createdAt'])
  if (operation && !flags.wait && !operation.finishedAt) await sayWhoWorks(saasctl.operations, operation.id, progress)
}

async function sayWhoWorks(
  operations: Session['saasctl']['operations'],
  id: string,
  progress: Session['progress']
): Promise<void> {
  if (await operations.haveWorker()) progress.next(`Follow it with "saasctl operation watch ${id}".`)
  else
    progress.notice(
      `No worker is running: start one with "saasctl worker", or work it here with "saasctl operation resume ${id}".`
    )
}

async function lineOf(session: Session, slug: string, act: OnTenant): Promise<Line> {
  const nothing = { slug, status: null, operation: null, error: null, message: null }
  if (session.interrupt.signal.aborted) return { ...nothing, result: 'left' }
  try {
    const { tenant, operation } = await act(session.saasctl, slug, session.wait(slug))
    const result = session.flags.wait || operation === null ? 'done' : 'started'
    return { ...nothing, slug: tenant.slug, result, status: tenant.status, operation: operation?.id ?? null }
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    return {
      ...nothing,
      result: 'failed',
      operation: error.operationId ?? null,
      error: error.toJSON(),
      message: error.message
    }
  }
}

function report({ progress, interrupt }: Session, lines: Line[], verb: string): void {
  const failed = lines.filter(line => line.result === 'failed').map(line => line.slug)
  const left = lines.filter(line => line.result === 'left').map(line => line.slug)
  const done = lines.length - failed.length - left.length
  if (interrupt.signal.aborted) {
    throw new SaasctlError(
      'CANCELLED',
      `Stopped: ${plural(done, 'tenant')} ${verb}, ${failed.length} not, ${left.length} not begun.`,
      { data: { failed, left } }
    )
  }
  if (failed.length === 0) {
    progress.notice(`${plural(done, 'tenant')} ${verb}.`)
    return
  }
  throw new SaasctlError(
    'SOME_FAILED',
    `${failed.length} of ${plural(lines.length, 'tenant')} could not be ${verb}: ${listed(failed)}.`,
    {
      hint: 'Correct what their messages say, and run the command again: those that are done stay done.',
      data: { failed }
    }
  )
}

function listed(slugs: string[]): string {
  return slugs.length > 10 ? `${slugs.slice(0, 10).join(', ')} and ${slugs.length - 10} more` : slugs.join(', ')
}
