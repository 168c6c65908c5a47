import { createHmac } from 'node:crypto'
import { CSV_NULL, type LineFormat, type Masking, REDACTED, type SnapshotColumn } from './snapshot.js'

/** A value in the form of its column, or null. */
export type Value = string | null

/** One row as a line. The columns are those that are exported: dropped ones are not among them. */
export type WriteRow = (values: readonly Value[]) => string

/** How rows of these columns become lines. What a server writes by itself must come out the same to the byte. */
export function rowWriter(columns: readonly SnapshotColumn[], format: LineFormat, masking: Masking): WriteRow {
  const masks = columns.map(({ name }) => maskOf(name, masking))
  const kept = (values: readonly Value[]) => masks.map((mask, index) => masked(mask, values[index] ?? null))
  if (format === 'csv') return values => `${kept(values).map(csvValue).join(',')}\n`
  const heads = columns.map(({ name }, index) => `${index === 0 ? '' : ','}${JSON.stringify(name)}:`)
  const bare = columns.map(({ form }, index) => !masks[index] && (form === 'integer' || form === 'boolean'))
  return values => {
    let line = '{'
    for (const [index, value] of kept(values).entries()) {
      line += heads[index]
      line += value === null ? 'null' : bare[index] ? value : JSON.stringify(value)
    }
    return `${line}}\n`
  }
}

/** The columns that are exported at all. */
export function exportedColumns(columns: readonly SnapshotColumn[], { rules }: Masking): SnapshotColumn[] {
  return columns.filter(({ name }) => !Object.hasOwn(rules, name) || rules[name] !== 'drop')
}

export function csvHead(columns: readonly SnapshotColumn[]): string {
  return `${columns.map(({ name }) => csvValue(name)).join(',')}\n`
}

export function csvValue(value: Value): string {
  if (value === null) return CSV_NULL
  return value === '' || value === CSV_NULL || value === '\\.' || /[",\n\r]/.test(value)
    ? `"${value.replaceAll('"', '""')}"`
    : value
}

type Mask = ((value: string) => string) | undefined

function maskOf(name: string, { rules, hashKey }: Masking): Mask {
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
  if (rule === 'hash') return value => createHmac('sha256', hashKey).update(value).digest('hex')
  return rule === 'redact' ? () => REDACTED : undefined
}

function masked(mask: Mask, value: Value): Value {
  return value === null || !mask ? value : mask(value)
}
