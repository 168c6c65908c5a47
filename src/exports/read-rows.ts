import { CSV_NULL, type LineFormat, type SnapshotColumn } from '../engines/snapshot.js'
import { SaasctlError } from '../errors.js'

/** Values of one row, in the order of the columns, in their forms. */
export type Row = Array<string | null>

/** Reads what an export has written of a table, without a head. INVALID_INPUT for what no export writes. */
export function readRows(
  format: LineFormat,
  columns: readonly SnapshotColumn[],
  bytes: AsyncIterable<Buffer> | Buffer
): AsyncGenerator<Row> {
  const pieces = Buffer.isBuffer(bytes) ? oneOf(bytes) : bytes
  return format === 'csv' ? csvRows(pieces) : jsonRows(columns, pieces)
}

async function* oneOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

async function* jsonRows(columns: readonly SnapshotColumn[], pieces: AsyncIterable<Buffer>): AsyncGenerator<Row> {
  const names = columns.map(({ name }) => name)
  for await (const line of linesOf(pieces)) {
    const row = parsed(line)
    yield names.map(name => {
      // A column may be called __proto__.
      const value = Object.hasOwn(row, name) ? row[name] : undefined
      if (value === null) return null
      if (typeof value === 'string') return value
      if (typeof value === 'number' || typeof value === 'boolean') return String(value)
      throw unreadable()
    })
  }
}

function parsed(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {}
  throw unreadable()
}

function unreadable(): SaasctlError {
  return new SaasctlError('INVALID_INPUT', 'A line of the rows is not what an export writes.', {
    hint: 'See whether the file is intact with "saasctl export verify".'
  })
}

async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer[] = []
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(10)
    if (end < 0) {
      rest.push(piece)
      continue
    }
    yield* Buffer.concat([...rest, piece.subarray(0, end)])
      .toString('utf8')
      .split('\n')
    rest = [piece.subarray(end + 1)]
  }
  if (rest.some(piece => piece.length > 0)) throw unreadable()
}

/** Unquoted `\N` is NULL. A quoted value may hold line breaks, so rows do not end where lines do. */
async function* csvRows(pieces: AsyncIterable<Buffer>): AsyncGenerator<Row> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const piece of pieces) {
    text += decoder.decode(piece, { stream: true })
    let from = 0
    for (let end = rowEnd(text, from); end >= 0; end = rowEnd(text, from)) {
      yield csvValues(text.slice(from, end))
      from = end + 1
    }
    text = text.slice(from)
  }
  if (text !== '') throw unreadable()
}

function rowEnd(text: string, from: number): number {
  let quoted = false
  for (let index = from; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === 34) quoted = !quoted
    else if (code === 10 && !quoted) return index
  }
  return -1
}

function csvValues(line: string): Row {
  if (line === '') return []
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => {
    if (quoted !== undefined) return quoted.replaceAll('""', '"')
    return plain === CSV_NULL || plain === undefined ? null : plain
  })
}
