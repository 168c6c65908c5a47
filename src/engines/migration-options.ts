import type { MigrationOptions } from './engine.js'
import type { Report } from './migration-file.js'
import { lineOf } from './statements.js'

const OPTION_LINE = /^[ \t]*--[ \t]*saasctl:(.*)$/gim

/** From the `-- saasctl: key=value` lines above the first statement. */
export function readOptions(text: string, report: Report): MigrationOptions {
  const options: MigrationOptions = {
    transaction: true,
    lockTimeoutMs: 2_000,
    statementTimeoutMs: null,
    outOfOrder: false,
    phase: 'expand'
  }
  const head = text.search(/^(?![ \t]*(?:--|\r?$))/m)
  for (const found of text.matchAll(OPTION_LINE)) {
    const line = lineOf(text, found.index)
    if (head >= 0 && found.index > head) report(line, 'has a "-- saasctl:" line below the first statement')
    for (const pair of (found[1] ?? '')
      .trim()
      .split(/[\s,]+/)
      .filter(Boolean)) {
      Object.assign(
        options,
        readOption(pair, message => report(line, message))
      )
    }
  }
  return options
}

/** What each key may say; anything else is undefined. */
const readers: Readonly<Record<string, (value: string) => Partial<MigrationOptions> | undefined>> = {
  transaction: value => given(yesOrNo(value), transaction => ({ transaction })),
  out_of_order: value => given(yesOrNo(value), outOfOrder => ({ outOfOrder })),
  lock_timeout: value => given(milliseconds(value), lockTimeoutMs => ({ lockTimeoutMs })),
  statement_timeout: value => given(milliseconds(value), statementTimeoutMs => ({ statementTimeoutMs })),
  phase: value => (value === 'expand' || value === 'contract' ? { phase: value } : undefined)
}

function readOption(pair: string, report: (message: string) => void): Partial<MigrationOptions> {
  const [key = '', value = ''] = pair.split('=', 2)
  const read = Object.hasOwn(readers, key) ? readers[key] : undefined
  if (!read) report(`has an unknown option "${key}": there are ${Object.keys(readers).join(', ')}`)
  const option = read?.(value)
  if (read && !option) report(`has a bad value in "${pair}"`)
  return option ?? {}
}

function given<In, Out>(value: In | undefined, use: (value: In) => Out): Out | undefined {
  return value === undefined ? undefined : use(value)
}

function yesOrNo(value: string): boolean | undefined {
  return value === 'true' ? true : value === 'false' ? false : undefined
}

/** `500ms`, `5s`, `1m`; `0` is no limit. */
function milliseconds(text: string): number | undefined {
  const found = /^(\d{1,7})(ms|s|m|min|h)$/.exec(text)
  if (!found) return text === '0' ? 0 : undefined
  const unit = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 }[found[2] ?? '']
  return unit === undefined ? undefined : Number(found[1]) * unit
}
