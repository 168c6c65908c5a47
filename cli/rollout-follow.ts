import type { RolloutView } from '../src/rollouts/control.js'
import { RolloutProgress } from './rollout-progress.js'
import { type ReportFlags, writeReports } from './rollout-report.js'
import type { Session } from './session.js'

const leaving =
  'Leaving. With a worker the rollout goes on without us; otherwise it is paused when what has begun is finished.'

/** To be said before the rollout runs: from then on Ctrl-C may not leave it to nobody. */
export function aboutToFollow({ flags, interrupt }: Session): void {
  if (flags.wait) interrupt.follow(leaving)
}

/** Follows a rollout to wherever it stops, tells, writes the reports, and ends with the exit code that fits. */
export async function followRollout(session: Session, id: string, reports: ReportFlags = {}): Promise<void> {
  const { saasctl, flags, progress, interrupt } = session
  if (!flags.wait) return progress.next(`Follow it with "saasctl rollout watch ${id}".`)
  const { followRollout: follow } = await import('../src/rollouts/follow.js')
  const shown = new RolloutProgress(session)
  let told = ''
  aboutToFollow(session)
  const view = await follow(saasctl, id, {
    ...(flags.timeout !== undefined && { timeoutMs: flags.timeout }),
    signal: interrupt.signal,
    onMoved: view => shown.moved(view),
    onTrouble: ({ message }) => {
      if (message !== told) progress.notice(message)
      told = message
    }
  })
  if (session.print.streams) session.print.one({ event: 'report', ...(await report(view)) })
  else await printView(session, view)
  await writeReports(session, reports, view)
  await judge(view)
}

/** The rollout with its waves and what failed; for programs the whole report. */
export async function printView(session: Session, view: RolloutView, leftMs?: number | null): Promise<void> {
  const { print, progress } = session
  progress.clear()
  if (print.forPrograms) {
    print.one({ ...(await report(view)), ...(leftMs !== undefined && { leftMs }) })
    return
  }
  const { id, template, status, reason } = view.rollout
  const left = leftMs === null || leftMs === undefined ? {} : { left: `about ${Math.ceil(leftMs / 1000)} s` }
  print.one({ id, template, status, reason, ...left })
  print.list(view.waves, ['name', 'pending', 'running', 'done', 'failed', 'skipped', 'startedAt', 'finishedAt'])
  const { failures } = await report(view)
  for (const { slug, reason, next } of failures.slice(0, SHOWN)) progress.notice(`${slug}: ${reason} ${next}`)
  if (failures.length > SHOWN) progress.notice(`And ${failures.length - SHOWN} more; -o json names them all.`)
}

const SHOWN = 20

async function report(view: RolloutView) {
  const { reportOf } = await import('../src/rollouts/report.js')
  return reportOf(view)
}

async function judge({ rollout, failures }: RolloutView): Promise<void> {
  const { SaasctlError } = await import('../src/errors.js')
  const data = { failed: failures.map(({ slug }) => slug), rollout: rollout.id }
  if (rollout.status === 'failed') {
    throw new SaasctlError('SOME_FAILED', rollout.reason ?? 'Some tenants failed.', {
      hint: `Mend what they met, then "saasctl rollout retry ${rollout.id}".`,
      data
    })
  }
  if (rollout.status === 'aborted') {
    throw new SaasctlError('ROLLOUT_STOPPED', `Rollout ${rollout.id} was aborted. ${rollout.reason ?? ''}`.trim(), {
      hint: 'What is done stays done; plan another for what is left.',
      data
    })
  }
  if (rollout.status === 'braked' || rollout.status === 'paused') {
    throw new SaasctlError('ROLLOUT_STOPPED', `Rollout ${rollout.id} stands still. ${rollout.reason ?? ''}`.trim(), {
      hint: `Go on with "saasctl rollout resume ${rollout.id}", take the failed ones with retry, or end it with abort.`,
      data
    })
  }
}
