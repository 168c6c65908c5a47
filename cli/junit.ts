import type { TargetRow } from '../src/catalog/rollouts.js'
import type { RolloutReport } from '../src/rollouts/report.js'

/** A rollout as JUnit XML, which every CI shows: a case for each tenant, in pieces. */
export async function* junit(
  report: RolloutReport,
  targets: AsyncIterable<TargetRow>,
  nextOf: (target: TargetRow) => string
): AsyncGenerator<string> {
  const { totals } = report
  const tests = totals.done + totals.failed + totals.skipped + totals.left
  const counts = `tests="${tests}" failures="${totals.failed}" skipped="${totals.skipped + totals.left}" errors="0"`
  const began = report.startedAt ?? report.createdAt
  const ended = report.finishedAt ?? new Date()
  const when = `time="${seconds(began, ended)}" timestamp="${began.toISOString().slice(0, 19)}"`
  const name = attribute(`rollout ${report.id}`)
  yield `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts}>\n  <testsuite name="${name}" ${counts} ${when}>\n`
  for await (const target of targets) yield caseOf(target, report, nextOf)
  yield '  </testsuite>\n</testsuites>\n'
}

function caseOf(target: TargetRow, report: RolloutReport, nextOf: (target: TargetRow) => string): string {
  const { slug, server, status, error, startedAt, finishedAt } = target
  const time = startedAt && finishedAt ? seconds(startedAt, finishedAt) : '0.000'
  const head = `    <testcase classname="${attribute(`${report.template}.${server}`)}" name="${attribute(slug)}" time="${time}"`
  if (status === 'done') return `${head}/>\n`
  if (status === 'failed') {
    const reason = attribute(error?.message ?? 'It failed.')
    const type = attribute(error?.code ?? 'FAILED')
    return `${head}>\n      <failure message="${reason}" type="${type}">${text(nextOf(target))}</failure>\n    </testcase>\n`
  }
  const why = error?.message ?? (status === 'skipped' ? 'It was left as it is.' : 'It was not begun.')
  return `${head}>\n      <skipped message="${attribute(why)}"/>\n    </testcase>\n`
}

const seconds = (from: Date, to: Date) => (Math.max(0, to.getTime() - from.getTime()) / 1000).toFixed(3)

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** XML 1.0 has no way to write most control characters, nor half of a surrogate pair. */
const foreign = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu

export function text(value: string): string {
  return value.replace(foreign, '\ufffd').replace(/[&<>"]/g, character => entities[character] ?? character)
}

/** A reader takes line ends and tabs in an attribute for spaces unless they are written as numbers. */
export function attribute(value: string): string {
  return text(value).replace(/[\t\n\r]/g, character => `&#${character.charCodeAt(0)};`)
}
