import { once } from 'node:events'
import type { Output } from './flags.js'
import { fit, oneLine, widthOf } from './text.js'

/** What is printed is data, on stdout and nowhere else. */
export class Print {
  readonly #output: Output
  readonly #stream: NodeJS.WriteStream

  constructor(output: Output, stream: NodeJS.WriteStream = process.stdout) {
    this.#output = output
    this.#stream = stream
  }

  /** Whether a program reads it, which wants everything and no explanations. */
  get forPrograms(): boolean {
    return this.#output !== 'table'
  }

  get streams(): boolean {
    return this.#output === 'ndjson'
  }

  /** A table of these columns; JSON has everything. An empty table is nothing at all. */
  list<Row extends object>(rows: Row[], columns: Array<keyof Row & string>): void {
    if (this.#output === 'json') this.#write(`${JSON.stringify(rows, null, 2)}\n`)
    else if (this.#output === 'ndjson') this.#write(rows.map(row => `${JSON.stringify(row)}\n`).join(''))
    else if (rows.length > 0) this.#write(this.#table(rows, columns))
  }

  /** Lines of text for each row, where a table would cut off what matters; JSON has everything. */
  told<Row extends object>(rows: Row[], tell: (row: Row) => string[]): void {
    if (this.forPrograms) this.list(rows, [])
    else
      this.#write(
        rows
          .flatMap(tell)
          .map(line => `${oneLine(line)}\n`)
          .join('')
      )
  }

  /** Rows without end, as they come: one JSON object a line, or one line of names and values. Waits for whoever reads. */
  async streamed(rows: object[]): Promise<void> {
    const line = (row: object) => (this.streams ? JSON.stringify(row) : cell(row))
    const more = this.#stream.write(rows.map(row => `${line(row)}\n`).join(''))
    if (!more) await once(this.#stream, 'drain')
  }

  /** One thing, a line for each of its parts. */
  one(thing: object, shown: object = thing): void {
    if (this.#output === 'json') this.#write(`${JSON.stringify(thing, null, 2)}\n`)
    else if (this.#output === 'ndjson') this.#write(`${JSON.stringify(thing)}\n`)
    else this.#write(lines(shown))
  }

  /** Text for people to copy or for a shell to take; an object for programs. */
  text(text: string, thing: object): void {
    if (this.forPrograms) this.one(thing)
    else this.#write(text.endsWith('\n') ? text : `${text}\n`)
  }

  #table<Row extends object>(rows: Row[], columns: Array<keyof Row & string>): string {
    const cells = [columns.map(titleOf), ...rows.map(row => columns.map(column => cell(row[column])))]
    const widths = columns.map((_, index) => Math.max(...cells.map(line => widthOf(line[index] ?? ''))))
    if (this.#stream.isTTY) shrink(widths, (this.#stream.columns || 80) - 2 * (columns.length - 1))
    return cells
      .map(
        line =>
          `${line
            .map((text, index) => pad(text, widths[index] ?? 0))
            .join('  ')
            .trimEnd()}\n`
      )
      .join('')
  }

  #write(text: string): void {
    this.#stream.write(text)
  }
}

function lines(thing: object): string {
  const parts = Object.entries(thing).map(([key, value]) => [titleOf(key).toLowerCase(), cell(value)] as const)
  const width = Math.max(...parts.map(([title]) => title.length))
  return parts.map(([title, value]) => `${title.padEnd(width)}  ${value}\n`).join('')
}

/** `displayName` is DISPLAY NAME, `createdAt` is CREATED. */
function titleOf(key: string): string {
  return key.replace(/At$/, '').replace(/[A-Z]/g, ' $&').toUpperCase()
}

function cell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  if (value instanceof Date) return minute(value)
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(cell).join(',')
  if (typeof value === 'object') {
    const parts = Object.entries(value).map(([key, part]) => `${key}=${cell(part)}`)
    return parts.length === 0 ? '-' : oneLine(parts.join(','))
  }
  return oneLine(String(value))
}

/** UTC, to the minute. */
export function minute(date: Date): string {
  return `${date.toISOString().slice(0, 16)}Z`
}

function pad(text: string, width: number): string {
  const fitted = fit(text, width)
  return fitted + ' '.repeat(Math.max(width - widthOf(fitted), 0))
}

/** Takes from the widest column until the line fits; no column gets narrower than a short word. */
function shrink(widths: number[], room: number): void {
  for (let sum = widths.reduce((a, b) => a + b, 0); sum > room; sum -= 1) {
    const widest = Math.max(...widths)
    if (widest <= 8) return
    widths[widths.indexOf(widest)] = widest - 1
  }
}
