import type { OperationRow } from '../src/catalog/operations.js'
import type { Saasctl } from '../src/saasctl.js'
import type { Wait } from '../src/tenants/work.js'
import type { Session } from './session.js'

/** What a verb does to one tenant, on the control plane that it is given: the real one, or one that forgets it again. */
export type Act<Outcome> = (saasctl: Saasctl, slug: string, wait: Wait) => Promise<Outcome>

interface StepLine {
  subject: string
  kind: string
  position: number
  step: string
}

/**
 * Promises the work for each subject as the verb would, takes that back, and prints the steps instead of running them. What
 * would be refused is refused.
 */
export async function dryRun(
  session: Session,
  subjects: string[],
  act: Act<{ operation: OperationRow | null }>
): Promise<void> {
  const [{ rehearse }, { operationById }] = await Promise.all([
    import('../src/catalog/rehearse.js'),
    import('../src/catalog/operations.js')
  ])
  const { saasctl } = session
  const lines: StepLine[] = []
  for (const subject of subjects) {
    const promised = await rehearse(saasctl.catalog, saasctl.actor, async catalog => {
      const { operation } = await act({ ...saasctl, catalog }, subject, { wait: false })
      const before = operation?.after ? await operationById(catalog, operation.after) : undefined
      return [before, operation].filter(one => one?.finishedAt === null)
    })
    for (const one of promised) if (one) lines.push(...(await stepsOf(saasctl, one.kind, subject)))
  }
  tell(session, lines)
}

/** The same for work that is promised later, or that looks at servers before: its steps alone. */
export async function printSteps(session: Session, kind: string, subject: string): Promise<void> {
  tell(session, await stepsOf(session.saasctl, kind, subject))
}

/** The tenant's slug; TENANT_NOT_FOUND. */
export async function known({ saasctl }: Session, slug: string): Promise<string> {
  const { mustFind } = await import('../src/tenants/find.js')
  return (await mustFind(saasctl.catalog, slug)).slug
}

async function stepsOf({ operations }: Saasctl, kind: string, subject: string): Promise<StepLine[]> {
  const { steps } = await operations.settings.kinds.load(kind)
  return steps.map((step, index) => ({ subject, kind, position: index + 1, step: step.name }))
}

function tell({ print, progress }: Session, lines: StepLine[]): void {
  print.list(lines, ['subject', 'kind', 'position', 'step'])
  progress.notice(
    lines.length === 0
      ? 'Nothing was changed; it takes one transaction in the catalog, and no step on a server.'
      : 'Nothing was changed; these are the steps.'
  )
}
