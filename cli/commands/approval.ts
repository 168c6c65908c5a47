import type { Command } from 'commander'
import type { NamedApproval } from '../../src/catalog/approvals.js'
import { confirmLoss } from '../confirm.js'
import { collectNames } from '../flags.js'
import { verb } from '../help.js'
import { type PageFlags, pageFlags, pageOf, tellMore } from '../paging.js'
import { type Session, withSaasctl } from '../session.js'
import { approvalColumns, approvalView, operationView } from '../views.js'

interface ApproveOptions {
  confirm?: string[]
}

export function approval(noun: Command): void {
  const listing = verb(noun, 'list', 'List what waits for a second operator', ['approval list', 'approval list --all'])
    .alias('ls')
    .option('--all', 'those that are decided too')
  pageFlags(listing, 100).action(withSaasctl(list))
  verb(noun, 'approve <id>', 'Approve what another operator has asked for; it is done at once', [
    'approval approve 0198c5d2-…',
    'approval approve 0198c5d2-… --confirm acme  # an erasure, in a script'
  ])
    .option('--confirm <slug>', 'agrees to the loss, for scripts', collectNames)
    .action(withSaasctl(approve))
  verb(noun, 'reject <id>', 'Say no to what was asked for', ['approval reject 0198c5d2-…']).action(withSaasctl(reject))
}

async function list(session: Session, options: PageFlags & { all?: true }): Promise<void> {
  const { saasctl, print, progress } = session
  const { listApprovals } = await import('../../src/catalog/approvals.js')
  const rows = await listApprovals(saasctl.catalog, { all: options.all === true, ...pageOf(options) })
  print.list(rows.map(approvalView), [...approvalColumns])
  if (rows.length === 0) progress.notice('Nothing waits for a second operator.')
  tellMore(session, rows, options)
}

async function approve(session: Session, { confirm = [] }: ApproveOptions, id: string): Promise<void> {
  const [{ approve: decide }, { approvable }] = await Promise.all([
    import('../../src/operators/approvals.js'),
    import('../../src/approvable.js')
  ])
  const { saasctl, print } = session
  await confirmErasure(session, id, confirm)
  const { approval, operation } = await decide(saasctl, id, approvable, session.wait())
  session.progress.clear()
  print.one({ ...approvalView(approval), operation: operation && operationView(operation) }, approvalView(approval))
  if (approval.action === 'tenant.erase')
    session.progress.next(`See what was signed: saasctl audit certificate ${approval.tenantId}`)
}

/** What cannot be brought back is asked about, whoever asked for it first. */
async function confirmErasure({ saasctl }: Session, id: string, confirmed: string[]): Promise<void> {
  const [{ approvalById }, { isUuid }] = await Promise.all([
    import('../../src/catalog/approvals.js'),
    import('../../src/names.js')
  ])
  const found = isUuid(id) ? await approvalById(saasctl.catalog, id) : undefined
  if (found?.action !== 'tenant.erase' || found.status !== 'pending') return
  await confirmLoss(
    `Tenant ${found.tenant}, its keys and all that is known of it will be erased.`,
    found.tenant,
    confirmed
  )
}

async function reject({ saasctl, print }: Session, _options: object, id: string): Promise<void> {
  const { reject: decide } = await import('../../src/operators/approvals.js')
  print.one(approvalView(await decide(saasctl, id)))
}

/** What a command says that has asked for two. */
export function printAsked({ print, progress }: Pick<Session, 'print' | 'progress'>, asked: NamedApproval): void {
  print.one(approvalView(asked))
  progress.next(`It takes a second operator: saasctl approval approve ${asked.id}`)
}
