import { compareFileNames } from '../engines/migration-files.js'

/** How a folder numbers its files; `next` is after `last` whatever the clock says. */
interface Style {
  fits: RegExp
  next(last: string, now: number): string
}

const digitsOf = (at: number) => new Date(at).toISOString().replace(/\D/g, '')

function timeOf(digits: string): number {
  const [, year, month, day, hour, minute, second, ms = '000'] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})?$/.exec(digits) ?? []
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
}

/** The three of node-pg-migrate (`utc`, `timestamp`, `index`), and the seconds that other tools write. */
const styles: readonly Style[] = [
  { fits: /^20\d{15}$/, next: (last, now) => digitsOf(Math.max(now, timeOf(last) + 1)) },
  { fits: /^20\d{12}$/, next: (last, now) => digitsOf(Math.max(now, timeOf(last) + 1_000)).slice(0, 14) },
  { fits: /^1\d{12}$/, next: (last, now) => String(Math.max(now, Number(last) + 1)) },
  { fits: /^\d+$/, next: last => String(BigInt(last) + 1n).padStart(last.length, '0') }
]

/** Number and separator of the file that comes after all of these, in the style of the last of them; `0001_` is the first. */
export function nextPrefix(files: string[], now: number): string {
  const last = files
    .filter(file => /^\d/.test(file))
    .sort(compareFileNames)
    .at(-1)
  if (last === undefined) return '0001_'
  const digits = /^\d+/.exec(last)?.[0] ?? ''
  const separator = last.charAt(digits.length) === '-' ? '-' : '_'
  const style = styles.find(({ fits }) => fits.test(digits))
  return `${style?.next(digits, now) ?? '0001'}${separator}`
}
