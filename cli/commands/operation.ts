import type { Command } from 'commander'
import type { OperationRow } from '../../src/catalog/operations.js'
import { verb } from '../help.js'
import { type PageFlags, pageFlags, pageOf, tellMore } from '../paging.js'
import { type Session, withSaasctl } from '../session.js'
import { operationColumns, operationView } from '../views.js'

interface ListOptions extends PageFlags {
  tenant?: string
  open?: true
}

export function operation(noun: Command): void {
  const listing = verb(noun, 'list', 'List operations, newest first', [
    'operation list',
    'operation list --tenant acme',
    'operation list --open  # what is not finished'
  ])
    .alias('ls')
    .option('--tenant <slug>', 'those of one tenant')
    .option('--open', 'those that are not finished')
  pageFlags(listing, 50).action(withSaasctl(list))
  verb(noun, 'show <id>', 'Show one operation with its steps', ['operation show 0198c5d2-…'])
    .alias('get')
    .action(withSaasctl(show))
  verb(noun, 'watch <id>', 'Follow an operation to its end', ['operation watch 0198c5d2-… --timeout 5m']).action(
    withSaasctl(watch)
  )
  verb(noun, 'resume <id>', 'Go on now with an operation that nobody works', ['operation resume 0198c5d2-…']).action(
    withSaasctl(resume)
  )
  verb(noun, 'cancel <id>', 'Stop an operation at its next step, and take back what it made', [
    'operation cancel 0198c5d2-…'
  ]).action(withSaasctl(cancel))
}

async function list(session: Session, options: ListOptions): Promise<void> {
  const { saasctl, print } = session
  const { tenant, open } = options
  const [{ listOperations }, { mustFind }] = await Promise.all([
    import('../../src/catalog/operations.js'),
    import('../../src/tenants/find.js')
  ])
  const tenantId = tenant === undefined ? undefined : (await mustFind(saasctl.catalog, tenant)).id
  const filter = {
    ...pageOf(options),
    ...(tenantId !== undefined && { tenantId }),
    open: open ?? false
  }
  const rows = (await listOperations(saasctl.catalog, filter)).map(operationView)
  print.list(rows, [...operationColumns])
  tellMore(session, rows, options)
}

async function show({ saasctl, print }: Session, _options: object, id: string): Promise<void> {
  const { showOperation } = await import('../../src/operations/inspect.js')
  const details = await showOperation(saasctl, id)
  const { steps } = details
  const { input, result, error, ...shown } = operationView(details)
  print.one({ ...operationView(details), steps }, { ...shown, error: error?.message })
  if (!print.forPrograms) print.list(steps, ['position', 'name', 'status', 'begunAt', 'doneAt'])
}

async function watch(session: Session, _options: object, id: string): Promise<void> {
  const { showOperation } = await import('../../src/operations/inspect.js')
  const { saasctl } = session
  const started = await showOperation(saasctl, id)
  session.progress.notice(`Following ${started.kind}; Ctrl-C leaves it alone.`)
  printOperation(session, await saasctl.operations.follow(started, session.watch()))
}

async function resume(session: Session, _options: object, id: string): Promise<void> {
  const { resumeOperation } = await import('../../src/operations/inspect.js')
  printOperation(session, await resumeOperation(session.saasctl, id, session.wait()))
}

async function cancel(session: Session, _options: object, id: string): Promise<void> {
  const { cancelOperation } = await import('../../src/operations/inspect.js')
  printOperation(session, await cancelOperation(session.saasctl, id))
  session.progress.next(`See it stop with "saasctl operation watch ${id}".`)
}

function printOperation({ print, progress }: Session, row: OperationRow): void {
  progress.clear()
  if (print.forPrograms) print.one(operationView(row))
  else print.list([operationView(row)], [...operationColumns])
}
