import { duration } from '../duration.js'
import { parseName, quoteInput } from '../names.js'

/** Takes one problem with the value at `path` of a file: `pro.limits.connections`, "is missing". */
export type Report = (path: string, problem: string) => void

/** Reports everything that is wrong with a value, and gives it back typed and frozen when nothing is. */
export type Check<T> = (value: unknown, path: string, report: Report) => T | undefined

/** A value of which `holds` is true; `expected` completes "it must be". */
function one<T>(expected: string, holds: (value: unknown) => value is T): Check<T> {
  return (value, path, report) => (holds(value) ? value : wrong(value, path, report, expected))
}

function wrong(value: unknown, path: string, report: Report, expected: string): undefined {
  report(
    path,
    value === undefined ? `is missing, and must be ${expected}` : `is ${shown(value)}, but must be ${expected}`
  )
}

function shown(value: unknown): string {
  if (typeof value === 'string') return quoteInput(value)
  if (Array.isArray(value)) return 'a list'
  return isMap(value) ? 'an object' : String(value)
}

export const text = one('a text that is not empty', (value): value is string => {
  return typeof value === 'string' && value.trim() !== ''
})

export const yesOrNo = one('true or false', (value): value is boolean => typeof value === 'boolean')

export function wholeNumber(from: number, to: number): Check<number> {
  return one(
    `a whole number from ${from} to ${to}`,
    (value): value is number => Number.isInteger(value) && Number(value) >= from && Number(value) <= to
  )
}

/** A duration such as `24h` or `7d`, from one to the other. */
export function durationText(least: string, most: string): Check<string> {
  return one(`a duration from ${least} to ${most}`, (value): value is string => {
    try {
      const ms = duration(String(value))
      return typeof value === 'string' && ms >= duration(least) && ms <= duration(most)
    } catch {
      return false
    }
  })
}

export function oneOf<T extends string>(values: readonly T[]): Check<T> {
  return one(`one of ${values.join(', ')}`, (value): value is T => values.some(known => known === value))
}

/** `null` is written out where there is no limit: leaving a key away is always a mistake. */
export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value, path, report) => {
    if (value === null) return null
    return check(value, path, (at, problem) => report(at, at === path ? `${problem} or null` : problem))
  }
}

type Members<T> = { [Key in keyof T as undefined extends T[Key] ? never : Key]: Check<T[Key]> }
type Optional<T> = { [Key in keyof T as undefined extends T[Key] ? Key : never]-?: Check<Exclude<T[Key], undefined>> }

/** Exactly these members, no fewer and no others but the optional ones, which came later: older files lack them. */
export function object<T extends object>(required: Members<T>, optional?: Optional<T>): Check<T> {
  const members: Record<string, Check<unknown>> = { ...required, ...optional }
  const known = Object.keys(members).join(', ')
  return (value, path, report) => {
    if (!isMap(value)) return wrong(value, path, report, `an object with ${known}`)
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(members, key)) report(below(path, key), `is not known; use ${known}`)
    }
    const entries = Object.entries(members).flatMap(([key, check]) => {
      if (optional && Object.hasOwn(optional, key) && value[key] === undefined) return []
      return [[key, check(value[key], below(path, key), report)] as const]
    })
    return entries.some(([, member]) => member === undefined) ? undefined : (frozen(entries) as T)
  }
}

/** Any number of members, each under a key that `key` accepts. */
export function map<T>(key: Check<string>, member: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value, path, report) => {
    if (!isMap(value)) return wrong(value, path, report, 'an object')
    return frozen(
      Object.entries(value).flatMap(([name, content]) => {
        const at = below(path, name)
        const accepted = key(name, at, report)
        const checked = member(content, at, report)
        return accepted === undefined || checked === undefined ? [] : [[accepted, checked]]
      })
    )
  }
}

export function list<T>(item: Check<T>): Check<readonly T[]> {
  return (value, path, report) => {
    if (!Array.isArray(value)) return wrong(value, path, report, 'a list')
    return Object.freeze(value.flatMap((content, index) => item(content, `${path}[${index}]`, report) ?? []))
  }
}

/** A key that programs write: `customDomain`. */
export const camelCase = one('a name in camelCase', (value): value is string =>
  /^[a-z][a-zA-Z0-9]{0,62}$/.test(String(value))
)

/** As `parseName`: for plans, templates, labels. */
export const name = one('a name of a-z, 0-9 and single dashes, starting with a letter', (value): value is string => {
  try {
    return typeof value === 'string' && parseName(value, 'file') === value
  } catch {
    return false
  }
})

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function frozen<T>(entries: ReadonlyArray<readonly [string, T]>): Readonly<Record<string, T>> {
  return Object.freeze(Object.fromEntries(entries))
}

function below(path: string, key: string): string {
  const step = /^[\w-]{1,63}$/.test(key) ? key : quoteInput(key)
  return path === '' ? step : `${path}.${step}`
}
