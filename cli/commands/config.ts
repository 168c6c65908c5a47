import type { Command } from 'commander'
import { type SettingName, settings } from '../../src/config.js'
import { Secret } from '../../src/secret.js'
import { verb } from '../help.js'
import { type Desk, withDesk } from '../session.js'

export function config(noun: Command): void {
  verb(noun, 'show', 'Show every setting and where it comes from', ['config show', 'config show -o json'])
    .aliases(['get', 'list', 'ls'])
    .action(withDesk(show))
}

async function show({ print, config }: Desk): Promise<void> {
  const values = config()
  const names = Object.keys(settings).filter(name => name !== 'path' && name !== 'failpoint') as SettingName[]
  const rows = names.map(name => ({
    name,
    value: shown(name, values[name]),
    source: values.sources[name],
    variable: settings[name].env,
    about: settings[name].about
  }))
  print.list(rows, ['name', 'value', 'source', 'variable', 'about'])
}

/** An address may carry a password when it came from the environment. */
function shown(name: SettingName, value: unknown): unknown {
  if (value instanceof Secret) return '[secret]'
  if (typeof value === 'number') return durationOf(name, value) ?? value
  if (typeof value !== 'string' || !URL.canParse(value)) return value
  const url = new URL(value)
  if (url.password) url.password = '[secret]'
  return decodeURI(url.href)
}

const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/** A number that the setting reads as a duration, in the largest unit that divides it. */
function durationOf(name: SettingName, milliseconds: number): string | undefined {
  const [unit, size] = Object.entries(units).find(([, size]) => milliseconds % size === 0) ?? ['ms', 1]
  const words = `${milliseconds / size}${unit}`
  try {
    return settings[name].parse(words, '') === milliseconds ? words : undefined
  } catch {
    return undefined
  }
}
