import type { Command } from 'commander'
import type { RolloutView } from '../../src/rollouts/control.js'
import { agree } from '../confirm.js'
import { count } from '../flags.js'
import { verb } from '../help.js'
import { type Session, withSaasctl } from '../session.js'
import { plural } from '../text.js'
import { isDry, plan, printPlan, rehearse, reportUnseen, type WishFlags, wishFlags, wishOf } from './rollout/plan.js'

export function rollout(noun: Command): void {
  wishFlags(
    verb(noun, 'plan', 'Show what a rollout would do, and keep it to be started', [
      'rollout plan --all --canary 5 --waves 10%,50%,100% --soak 10m',
      'rollout plan -l plan=pro --to 0012_add_phone --gate "./smoke.sh"'
    ])
  ).action(withSaasctl(plan))
  wishFlags(
    verb(noun, 'start [id]', 'Start a plan, or plan and start at once', [
      'rollout start 0198c5d2-…',
      'rollout start --all --waves 10%,100%  # asks first'
    ])
  ).action(withSaasctl(start))
  const one = (name: string, about: string) => verb(noun, `${name} <id>`, about, [`rollout ${name} 0198c5d2-…`])
  one('show', 'Show a rollout with its waves and what failed').alias('status').alias('get').action(withSaasctl(show))
  one('watch', 'Follow a rollout until it stops; Ctrl-C leaves it alone').action(withSaasctl(watch))
  one('pause', 'Begin no more tenants; what has begun is finished').action(withSaasctl(moved('pauseRollout')))
  one('resume', 'Go on with a rollout that was paused or stopped').action(withSaasctl(moved('resumeRollout')))
  one('abort', 'End a rollout; what is done stays').action(withSaasctl(moved('abortRollout')))
  one('retry', 'Take the tenants that failed once more').action(withSaasctl(moved('retryRollout')))
  one('undo', 'Plan the way back for exactly the tenants that a rollout has migrated').action(withSaasctl(undo))
  verb(noun, 'list', 'List rollouts, newest first', ['rollout list'])
    .alias('ls')
    .option('--limit <n>', 'at most so many', count, 20)
    .action(withSaasctl(list))
}

async function start(session: Session, flags: WishFlags, id: string | undefined): Promise<void> {
  if (isDry(flags)) return id === undefined ? plan(session, flags) : rehearse(session, flags, id)
  const { startRollout } = await import('../../src/rollouts/control.js')
  let chosen = id
  if (chosen === undefined) {
    const { planRollout } = await import('../../src/rollouts/plan.js')
    const planned = await planRollout(session.saasctl, await wishOf(flags))
    await reportUnseen(planned)
    if (!planned.id) return printPlan(session, planned)
    const files = Object.values(planned.migrations).flat()
    await agree(`${plural(planned.targets, 'tenant')} will be migrated: ${files.join(', ')}.`, session.flags)
    chosen = planned.id
  }
  const started = await startRollout(session.saasctl, chosen, { allow: flags.allow ?? [] })
  session.progress.notice(`Rollout ${started.id} has started.`)
  await follow(session, started.id)
}

/** With a worker, `--no-wait` comes back at once; so does nothing else. */
async function follow(session: Session, id: string): Promise<void> {
  const { saasctl, flags, progress, interrupt } = session
  if (!flags.wait) return progress.next(`Follow it with "saasctl rollout watch ${id}".`)
  const { followRollout } = await import('../../src/rollouts/follow.js')
  interrupt.follow()
  const view = await followRollout(saasctl, id, {
    ...(flags.timeout !== undefined && { timeoutMs: flags.timeout }),
    signal: interrupt.signal,
    onMoved: ({ rollout, waves }) => {
      const wave = waves[rollout.wave]
      if (!wave || flags.quiet) return
      const over = wave.done + wave.failed + wave.skipped
      const all = over + wave.pending + wave.running
      progress.notice(`wave ${wave.name}: ${over} of ${all}${wave.failed > 0 ? `, ${wave.failed} failed` : ''}`)
    }
  })
  printView(session, view)
  await report(view)
}

async function report({ rollout, failures }: RolloutView): Promise<void> {
  const { SaasctlError } = await import('../../src/errors.js')
  const failed = failures.map(({ slug }) => slug)
  const data = { failed, rollout: rollout.id }
  if (rollout.status === 'failed') {
    throw new SaasctlError('SOME_FAILED', rollout.reason ?? 'Some tenants failed.', {
      hint: `Mend what they met, then "saasctl rollout retry ${rollout.id}".`,
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

async function show(session: Session, _options: object, id: string): Promise<void> {
  const { showRollout } = await import('../../src/rollouts/control.js')
  const view = await showRollout(session.saasctl, id)
  printView(session, view, await leftOf(session, view))
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

async function watch(session: Session, _options: object, id: string): Promise<void> {
  const { mustFindRollout } = await import('../../src/rollouts/find.js')
  await mustFindRollout(session.saasctl.catalog, id)
  await follow(session, id)
}

type Move = 'pauseRollout' | 'resumeRollout' | 'abortRollout' | 'retryRollout'

function moved(move: Move): (session: Session, options: object, id: string) => Promise<void> {
  return async (session, _options, id) => {
    const control = await import('../../src/rollouts/control.js')
    const { status } = await control[move](session.saasctl, id)
    session.progress.notice(`Rollout ${id} is ${status}.`)
    if (status === 'running') await follow(session, id)
    else printView(session, await control.showRollout(session.saasctl, id))
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

async function list({ saasctl, print }: Session, { limit }: { limit: number }): Promise<void> {
  const { listRollouts } = await import('../../src/catalog/rollouts.js')
  const rows = await listRollouts(saasctl.catalog, { limit })
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
}

function printView(
  { print, progress }: Session,
  { rollout, waves, failures }: RolloutView,
  leftMs: number | null = null
): void {
  progress.clear()
  if (print.forPrograms) {
    print.one({ ...rollout, leftMs, waves, failures })
    return
  }
  const { id, template, status, reason } = rollout
  const left = leftMs === null ? {} : { left: `about ${Math.ceil(leftMs / 1000)} s` }
  print.one({ id, template, status, reason, ...left })
  print.list(waves, ['name', 'pending', 'running', 'done', 'failed', 'skipped', 'startedAt', 'finishedAt'])
  for (const { slug, error } of failures) progress.notice(`${slug}: ${error?.message ?? 'failed'}`)
}
