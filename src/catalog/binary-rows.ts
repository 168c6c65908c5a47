/** The fields of one row; null is SQL's. */
export type BinaryRow = Array<Buffer | null>

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** Flags and the length of an extension, which PostgreSQL leaves empty. */
const HEAD_BYTES = SIGNATURE.length + 8

/**
 * Reads rows out of PostgreSQL's binary COPY, all that are whole in each chunk at once: an iterator that stops at every row
 * halves the speed. A row's buffers are views; they live as long as the chunk.
 */
export async function* binaryRows(chunks: AsyncIterable<Buffer>): AsyncIterable<BinaryRow[]> {
  let rest: Buffer = Buffer.alloc(0)
  let started = false
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    if (!started) {
      if (bytes.length < HEAD_BYTES) {
        rest = bytes
        continue
      }
      at = HEAD_BYTES
      started = true
    }
    const rows: BinaryRow[] = []
    for (let end = endOfRow(bytes, at); end > 0; end = endOfRow(bytes, at)) {
      rows.push(fieldsOf(bytes, at))
      at = end
    }
    rest = bytes.subarray(at)
    if (rows.length > 0) yield rows
  }
}

/** Where the row that begins here ends; 0 when it is not whole yet, or is the trailer. */
function endOfRow(bytes: Buffer, from: number): number {
  if (bytes.length < from + 2) return 0
  const count = bytes.readInt16BE(from)
  let at = from + 2
  for (let field = 0; field < count; field += 1) {
    if (bytes.length < at + 4) return 0
    at += 4 + Math.max(bytes.readInt32BE(at), 0)
  }
  return count < 0 || bytes.length < at ? 0 : at
}

function fieldsOf(bytes: Buffer, from: number): BinaryRow {
  const row: BinaryRow = new Array(bytes.readInt16BE(from))
  let at = from + 2
  for (let field = 0; field < row.length; field += 1) {
    const length = bytes.readInt32BE(at)
    at += 4
    row[field] = length < 0 ? null : bytes.subarray(at, at + length)
    at += Math.max(length, 0)
  }
  return row
}

export function asText(field: Buffer | null | undefined): string {
  return field?.toString('utf8') ?? ''
}

export function asNumber(field: Buffer | null | undefined): number {
  return field ? Number(field.readBigInt64BE()) : 0
}

/** Milliseconds since 1970 of a timestamptz; what is finer is kept as a fraction. */
export function asTime(field: Buffer | null | undefined): number {
  return asNumber(field) / 1000 + 946_684_800_000
}
