import { type Command, InvalidArgumentError, Option } from 'commander'
import { duration } from '../src/duration.js'

export type Output = 'table' | 'json' | 'ndjson'

/** The flags that every command takes. */
export interface Flags {
  output: Output
  quiet: boolean
  verbose: boolean
  yes: boolean
  wait: boolean
  /** Milliseconds. */
  timeout?: number
  embedded?: true
  catalog?: string
  home?: string
  tokenFile?: string
}

export function addGlobalFlags(program: Command): void {
  const table = new Option('-o, --output <form>', 'how to print data').choices(['table', 'json', 'ndjson'])
  program
    .addOption(table.default('table'))
    .option('-q, --quiet', 'print data and errors only', false)
    .option('-v, --verbose', 'print every step, and where an error comes from', false)
    .option('-y, --yes', 'do not ask before changing many tenants', false)
    .option('--timeout <duration>', 'wait no longer than this, as in 30s or 10m', milliseconds)
    .option('--no-wait', 'leave the work to a worker and come back at once')
    .option('--catalog <url>', 'the catalog: postgres://LOGIN@HOST:PORT/DATABASE')
    .option('--home <folder>', 'where the embedded server and the keys are')
    .option('--token-file <file>', 'the operator’s token; or SAASCTL_TOKEN')
    .option('--embedded', 'allow the embedded server under NODE_ENV=production')
}

/** Reads a duration such as 30s, 10m or 7d. */
export function milliseconds(text: string): number {
  return parsed(() => duration(text))
}

export function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

/** As `count`, and at least one: a list of nothing answers no question. */
export function counted(text: string): number {
  const value = count(text)
  if (value === 0) throw new InvalidArgumentError('It must be at least 1.')
  return value
}

export function percent(text: string): number {
  const value = count(text)
  if (value > 100) throw new InvalidArgumentError('It must be at most 100.')
  return value
}

export function httpUrl(text: string): string {
  if (!/^https?:/i.test(text) || !URL.canParse(text)) throw new InvalidArgumentError('It must be http:// or https://.')
  return text
}

/** A parser for commander out of one that throws. */
export function parsed<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new InvalidArgumentError(`It ${(error as Error).message}.`)
  }
}

/** Adds one `key=value` or several with commas between; `key-` takes a label away where that is allowed. */
export function collectLabels(text: string, before: Record<string, string | null> = {}): Record<string, string | null> {
  const labels = { ...before }
  for (const part of text.split(',')) {
    const match = /^([a-z][a-z0-9-]*?)(?:=(.*)|(-))$/.exec(part.trim())
    if (!match?.[1]) throw new InvalidArgumentError('Write it as key=value, with a key of a-z, 0-9 and dashes.')
    labels[match[1]] = match[3] ? null : (match[2] ?? '')
  }
  return labels
}

/** What an unset variable leaves behind must not mean everything. */
export function notEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.')
  return text
}

/** As `collectLabels`, where there is nothing to take away. */
export function collectNewLabels(text: string, before: Record<string, string> = {}): Record<string, string> {
  const labels = collectLabels(text, before)
  if (Object.values(labels).includes(null)) throw new InvalidArgumentError('Write it as key=value.')
  return labels as Record<string, string>
}

/** Adds names given one by one or with commas between. */
export function collectNames(text: string, before: string[] = []): string[] {
  return [
    ...before,
    ...text
      .split(',')
      .map(name => name.trim())
      .filter(Boolean)
  ]
}
