import type { Command } from 'commander'
import type { RolloutView } from '../../src/rollouts/control.js'
import { agree } from '../confirm.js'
import { verb } from '../help.js'
import { type PageFlags, pageFlags, pageOf, tellMore } from '../paging.js'
import { aboutToFollow, followRollout, printView } from '../rollout-follow.js'
import { checkReports, type ReportFlags, reportFlags, writeReports } from '../rollout-report.js'
import { type Session, withSaasctl } from '../session.js'
import { plural } from '../text.js'
import {
  checkStored,
  isDry,
  plan,
  printPlan,
  rehearse,
  reportUnseen,
  type WishFlags,
  wishFlags,
  wishOf
} from './rollout/plan.js'

export function rollout(noun: Command): void {
  wishFlags(
    verb(noun, 'plan', 'Show what a rollout would do, and keep it to be started', [
      'rollout plan --all --canary 5 --waves 10%,50%,100% --soak 10m',
      'rollout plan -l plan=pro --to 0012_add_phone --gate "./smoke.sh"'
    ])
  ).action(withSaasctl(plan))
  reportFlags(
    wishFlags(
      verb(noun, 'start [id]', 'Start a plan, or plan and start at once, and follow it', [
        'rollout start 0198c5d2-…',
        'rollout start --all --waves 10%,100%  # asks first',
        'rollout start 0198c5d2-… --report rollout.json --junit rollout.xml'
      ])
    )
  ).action(withSaasctl(start))
  const one = (name: string, about: string) => verb(noun, `${name} <id>`, about, [`rollout ${name} 0198c5d2-…`])
  verb(noun, 'status [id]', 'Where the rollouts that are under way stand, and for how long still', [
    'rollout status',
    'rollout status 0198c5d2-…'
  ]).action(withSaasctl(status))
  reportFlags(one('show', 'Show a rollout with its waves and what failed')).alias('get').action(withSaasctl(show))
  reportFlags(one('watch', 'Follow a rollout until it stops; Ctrl-C leaves it to the workers')).action(
    withSaasctl(watch)
  )
  one('pause', 'Begin no more tenants; what has begun is finished').action(withSaasctl(moved('pauseRollout')))
  reportFlags(one('resume', 'Go on with a rollout that was paused or stopped')).action(
    withSaasctl(moved('resumeRollout'))
  )
  one('abort', 'End a rollout; what is done stays').action(withSaasctl(moved('abortRollout')))
  reportFlags(one('retry', 'Take the tenants that failed once more')).action(withSaasctl(moved('retryRollout')))
  one('undo', 'Plan the way back for exactly the tenants that a rollout has migrated').action(withSaasctl(undo))
  pageFlags(verb(noun, 'list', 'List rollouts, newest first', ['rollout list']).alias('ls'), 20).action(
    withSaasctl(list)
  )
}

async function start(session: Session, flags: WishFlags & ReportFlags, id: string | undefined): Promise<void> {
  if (id !== undefined) await checkStored(flags)
  if (isDry(flags)) return id === undefined ? plan(session, flags) : rehearse(session, flags, id)
  await checkReports(flags)
  const { startRollout } = await import('../../src/rollouts/control.js')
  let chosen = id
  if (chosen === undefined) {
    const { planRollout } = await import('../../src/rollouts/plan.js')
    const planned = await planRollout(session.saasctl, await wishOf(session.saasctl, flags))
    await reportUnseen(planned)
    if (!planned.id) return printPlan(session, planned)
    const files = Object.values(planned.migrations).flat()
    await agree(`${plural(planned.targets, 'tenant')} will be migrated: ${files.join(', ')}.`, session.flags)
    chosen = planned.id
  }
  aboutToFollow(session)
  const started = await startRollout(session.saasctl, chosen, { allow: flags.allow ?? [] })
  session.progress.notice(`Rollout ${started.id} has started.`)
  await followRollout(session, started.id, flags)
}

async function status({ saasctl, print, progress }: Session, _flags: object, id: string | undefined): Promise<void> {
  const { rolloutStatus } = await import('../../src/rollouts/status.js')
  const lines = await rolloutStatus(saasctl, id)
  print.list(lines, ['id', 'template', 'status', 'wave', 'done', 'failed', 'left', 'etaSeconds'])
  if (lines.length === 0) progress.notice('There has been no rollout yet.')
  for (const { reason, lanes } of lines) {
    if (reason !== null) progress.notice(reason)
    for (const lane of lanes) {
      const error = lane.status === 'waiting' ? lane.error : null
      if (error) progress.notice(`server ${lane.server} waits and is tried again: ${error.message}`)
      else if (lane.owner !== null && lane.atOnce < lane.atMost) {
        progress.notice(`server ${lane.server}: ${lane.atOnce} of ${lane.atMost} databases at once, for it is busy`)
      }
    }
  }
}

async function show(session: Session, flags: ReportFlags, id: string): Promise<void> {
  const { showRollout } = await import('../../src/rollouts/control.js')
  const view = await showRollout(session.saasctl, id)
  await printView(session, view, await leftOf(session, view))
  await writeReports(session, flags, view)
}

/** How long what is left would take, as far as that is known; nothing where nothing is left. */
async function leftOf({ saasctl }: Session, { rollout }: RolloutView): Promise<number | null> {
  if (!['planned', 'running', 'paused', 'braked'].includes(rollout.status)) return null
  const [{ estimateLeft }, { schemasOf }] = await Promise.all([
    import('../../src/rollouts/estimate.js'),
    import('../../src/rollouts/plan.js')
  ])
  // What it looks like must be shown although its files are gone.
  const schemas = await schemasOf(saasctl, rollout.template).catch(() => undefined)
  return schemas ? estimateLeft(saasctl.catalog, rollout, schemas) : null
}

async function watch(session: Session, flags: ReportFlags, id: string): Promise<void> {
  await checkReports(flags)
  const { mustFindRollout } = await import('../../src/rollouts/find.js')
  await mustFindRollout(session.saasctl.catalog, id)
  await followRollout(session, id, flags)
}

type Move = 'pauseRollout' | 'resumeRollout' | 'abortRollout' | 'retryRollout'

function moved(move: Move): (session: Session, flags: ReportFlags, id: string) => Promise<void> {
  return async (session, flags, id) => {
    await checkReports(flags)
    const control = await import('../../src/rollouts/control.js')
    if (move === 'resumeRollout' || move === 'retryRollout') aboutToFollow(session)
    const { status } = await control[move](session.saasctl, id)
    session.progress.notice(`Rollout ${id} is ${status}.`)
    if (status === 'running') await followRollout(session, id, flags)
    else await printView(session, await control.showRollout(session.saasctl, id))
  }
}

async function undo(session: Session, _options: object, id: string): Promise<void> {
  const [{ planUndo }, { usualSettings }] = await Promise.all([
    import('../../src/rollouts/control.js'),
    import('../../src/rollouts/settings.js')
  ])
  const planned = await planUndo(session.saasctl, id, usualSettings)
  session.print.one({ id: planned.id, undoes: id, template: planned.template, status: planned.status })
  session.progress.next(`Start it with "saasctl rollout start ${planned.id}".`)
}

async function list(session: Session, page: PageFlags): Promise<void> {
  const { saasctl, print } = session
  const { listRollouts } = await import('../../src/catalog/rollouts.js')
  const rows = await listRollouts(saasctl.catalog, pageOf(page))
  print.list(
    rows.map(({ id, template, direction, target, status, reason, actor, createdAt, finishedAt }) => ({
      id,
      template,
      direction,
      to: target,
      status,
      reason,
      actor: actor.name,
      createdAt,
      finishedAt
    })),
    ['id', 'template', 'direction', 'to', 'status', 'createdAt', 'finishedAt']
  )
  tellMore(session, rows, page)
}
