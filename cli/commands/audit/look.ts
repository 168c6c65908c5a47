import type { TrailFilter } from '../../../src/catalog/trail.js'
import { duration } from '../../../src/duration.js'
import { SaasctlError } from '../../../src/errors.js'
import { quoteInput } from '../../../src/names.js'
import type { Session } from '../../session.js'

interface ListOptions {
  tenant?: string
  chain?: string
  actor?: string
  action?: string
  since?: string
  until?: string
  before?: string
  limit: number
}

export async function list({ saasctl, print, progress }: Session, options: ListOptions): Promise<void> {
  const [{ listEvents }, { shownEvent, chainOfTenant, parsePlace }] = await Promise.all([
    import('../../../src/catalog/trail.js'),
    import('../../../src/audit/show.js')
  ])
  const { tenant, actor, action, limit } = options
  const chain = tenant === undefined ? options.chain : await chainOfTenant(saasctl.catalog, tenant)
  const filter: TrailFilter = {
    limit,
    ...(chain !== undefined && { chain }),
    ...(actor !== undefined && { actor }),
    ...(action !== undefined && { action }),
    ...(options.since !== undefined && { since: moment(options.since) }),
    ...(options.until !== undefined && { until: moment(options.until) }),
    ...(options.before !== undefined && { before: parsePlace(options.before) })
  }
  const rows = (await listEvents(saasctl.catalog, filter)).map(shownEvent)
  print.list(rows, ['event', 'at', 'action', 'actor', 'proof', 'payload'])
  if (rows.length === 0) progress.notice('No event fits.')
  else if (rows.length === limit) progress.next(`There may be more: --before ${rows.at(-1)?.event}`)
}

export async function show({ saasctl, print }: Session, _options: object, place: string): Promise<void> {
  const { findEvent } = await import('../../../src/audit/show.js')
  print.one(await findEvent(saasctl.catalog, place))
}

/** `30d` ago, or a date as ISO 8601 writes it. */
function moment(text: string): Date {
  if (/^\d{4}-/.test(text)) {
    const date = new Date(text)
    if (!Number.isNaN(date.getTime())) return date
  } else {
    try {
      return new Date(Date.now() - duration(text))
    } catch {
      // Said below, for both forms.
    }
  }
  throw new SaasctlError('INVALID_INPUT', `${quoteInput(text)} is not a time.`, {
    hint: 'Write it as 30d, 2026-11-01 or 2026-11-01T12:00:00Z.'
  })
}
