import type { Session } from './session.js'

/** The steps of an operation of this kind on `subject`, printed instead of run. */
export async function printSteps(
  { print, progress, saasctl }: Session,
  kind: string,
  subjects: string[]
): Promise<void> {
  const { steps } = await saasctl.operations.settings.kinds.load(kind)
  const lines = subjects.flatMap(subject =>
    steps.map((step, index) => ({ subject, kind, position: index + 1, step: step.name }))
  )
  print.list(lines, ['subject', 'kind', 'position', 'step'])
  progress.notice('Nothing was changed; these are the steps.')
}
