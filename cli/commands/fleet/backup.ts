import type { Command } from 'commander'
import { agree } from '../../confirm.js'
import { count } from '../../flags.js'
import { verb } from '../../help.js'
import { checkNames, type SelectorFlags, selectorFlags, selectorOf, tenantPages } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'
import { plural } from '../../text.js'

interface Options extends SelectorFlags {
  perServer?: number
}

export function addFleetBackup(noun: Command): void {
  const backup = verb(noun, 'backup', 'Back many tenants up, a few at a time on each server', [
    'fleet backup -l plan=pro',
    'fleet backup --all --per-server 4 --no-wait  # for the workers to do'
  ]).option('--per-server <n>', 'at once on one server; the setting backupsPerServer by default', count)
  selectorFlags(backup).action(withSaasctl(backUp))
}

async function backUp(session: Session, options: Options): Promise<void> {
  const { saasctl, flags, progress, print, interrupt } = session
  const wanted = await chosen(session, options)
  if (wanted.length === 0) return progress.notice('No tenant fits; nothing was changed.')
  await agree(`${plural(wanted.length, 'tenant')} will be backed up.`, flags)
  const { askForFleet, backupFleet } = await import('../../../src/backups/fleet.js')
  if (!flags.wait) {
    await askForFleet(saasctl, wanted)
    return progress.notice(`${plural(wanted.length, 'backup')} are due; workers begin them within a minute.`)
  }
  interrupt.follow()
  const lines = await backupFleet(saasctl, wanted, {
    perServer: options.perServer ?? saasctl.config.backupsPerServer,
    wait: slug => session.wait(slug),
    signal: interrupt.signal,
    onDone: ({ slug, error }, done, all) => {
      progress.notice(`${done} of ${all}: ${slug}${error ? ` failed: ${error.message}` : ''}`)
    }
  })
  progress.clear()
  print.list(
    lines.map(line => ({ ...line, message: line.error?.message ?? null })),
    ['slug', 'backup', 'message']
  )
  await report(
    lines.filter(({ error }) => error).map(({ slug }) => slug),
    wanted.length - lines.length
  )
}

/** A forgotten selector must not mean every tenant. */
async function chosen({ saasctl }: Session, options: Options): Promise<Array<{ tenantId: string; slug: string }>> {
  const selector = selectorOf(options)
  const { SaasctlError } = await import('../../../src/errors.js')
  if (!options.all && Object.keys(selector).length === 0) {
    throw new SaasctlError('USAGE', 'No tenant was named.', { hint: 'Give a selector such as -l plan=pro, or --all.' })
  }
  const statuses = selector.statuses ?? (['active', 'suspended'] as const)
  const found: Array<{ tenantId: string; slug: string }> = []
  const wanted = { ...selector, statuses: [...statuses], ...(options.except && { except: options.except }) }
  await checkNames(saasctl, wanted)
  for await (const page of tenantPages(saasctl, wanted, {}))
    found.push(...page.map(({ id, slug }) => ({ tenantId: id, slug })))
  return found
}

async function report(failed: string[], left: number): Promise<void> {
  const { SaasctlError } = await import('../../../src/errors.js')
  if (left > 0) {
    throw new SaasctlError('CANCELLED', `Stopped: ${plural(left, 'tenant')} not begun.`, {
      hint: 'They are on the schedule: a worker backs them up.'
    })
  }
  if (failed.length === 0) return
  throw new SaasctlError('SOME_FAILED', `${plural(failed.length, 'tenant')} could not be backed up.`, {
    hint: 'Correct what their messages say, and run the command again with a selector that finds them.',
    data: { failed }
  })
}
