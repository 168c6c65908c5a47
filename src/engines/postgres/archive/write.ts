import { writeInt, writeString } from './fields.js'
import type { Entry } from './head.js'

const VERSION = [1, 14, 0]
const INT_BYTES = 4
const OFFSET_BYTES = 8
const CUSTOM_FORMAT = 1
/** The level that the rows are compressed with. */
export const LEVEL = 1
/** Where the data is: not said, which makes a reader go through the file; or that there is none. */
const [POSITION_UNKNOWN, NO_DATA] = [1, 3]
const ROWS = 1

export interface WrittenHead {
  database: string
  serverVersion: string
  toolVersion: string
  entries: Entry[]
}

/** The head of an archive of version 1.14, which pg_restore 12 and every newer one read. */
export function writeHead({ database, serverVersion, toolVersion, entries }: WrittenHead): Buffer {
  const now = new Date()
  const created = [
    now.getUTCSeconds(),
    now.getUTCMinutes(),
    now.getUTCHours(),
    now.getUTCDate(),
    now.getUTCMonth(),
    now.getUTCFullYear() - 1900,
    0
  ]
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([...VERSION, INT_BYTES, OFFSET_BYTES, CUSTOM_FORMAT]),
    writeInt(LEVEL),
    ...created.map(writeInt),
    ...[database, serverVersion, toolVersion].map(writeString),
    writeInt(entries.length),
    ...entries.map(writeEntry)
  ])
}

function writeEntry(entry: Entry): Buffer {
  return Buffer.concat([
    writeInt(entry.id),
    writeInt(entry.hasData ? 1 : 0),
    ...[entry.catalogOid, entry.oid, entry.tag, entry.kind].map(writeString),
    writeInt(entry.section),
    ...[entry.definition, entry.drop, entry.copy, entry.schema, entry.tablespace].map(writeString),
    ...[entry.accessMethod, entry.owner, 'false'].map(writeString),
    ...entry.needs.map(need => writeString(String(need))),
    writeString(null),
    Buffer.from([entry.hasData ? POSITION_UNKNOWN : NO_DATA]),
    Buffer.alloc(OFFSET_BYTES)
  ])
}

/** One block of rows, compressed already. */
export async function* writeRows(entry: Entry, compressed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.concat([Buffer.from([ROWS]), writeInt(entry.id)])
  for await (const chunk of compressed) if (chunk.length > 0) yield Buffer.concat([writeInt(chunk.length), chunk])
  yield writeInt(0)
}
