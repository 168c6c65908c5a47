import { damaged } from './bytes.js'
import { FieldReader } from './fields.js'

/** One object of an archive, or the data of one. Fields and their order are those of pg_dump's custom format. */
export interface Entry {
  id: number
  /** A block of data follows for it, in the order of the entries. */
  hasData: boolean
  catalogOid: string | null
  oid: string | null
  tag: string
  /** What kind it is: `TABLE`, `TABLE DATA`, `ACL` … */
  kind: string
  section: number
  definition: string
  drop: string
  copy: string | null
  schema: string | null
  tablespace: string | null
  accessMethod: string | null
  relkind: number
  owner: string | null
  needs: number[]
}

export interface Head {
  /** 1014 is version 1.14. */
  version: number
  compression: 'none' | 'gzip'
  created: number[]
  database: string
  serverVersion: string
  toolVersion: string
  entries: Entry[]
  /** Of the integers in the blocks that follow. */
  intSize: number
}

/** Written by pg_dump 12 and by pg_dump 18, the oldest and newest that are understood. */
const VERSIONS = { oldest: 1014, newest: 1016 }
const CUSTOM_FORMAT = 1

/** Reads everything that comes before the data. */
export function readHead(buffer: Buffer): { result: Head; length: number } {
  const fields = new FieldReader(buffer)
  if (fields.bytes(5).toString('latin1') !== 'PGDMP') throw damaged('it is no archive of pg_dump')
  const version = fields.byte() * 1000 + fields.byte()
  fields.byte()
  if (version < VERSIONS.oldest || version > VERSIONS.newest)
    throw damaged(`version ${version} of its format is unknown`)
  fields.sizes = { int: fields.byte(), offset: fields.byte() }
  if (fields.byte() !== CUSTOM_FORMAT) throw damaged('it is not in the custom format')
  const compression = version >= 1015 ? algorithm(fields.byte()) : fields.int() === 0 ? 'none' : 'gzip'
  const created = Array.from({ length: 7 }, () => fields.int())
  const [database = '', serverVersion = '', toolVersion = ''] = Array.from({ length: 3 }, () => fields.string() ?? '')
  const entries = Array.from({ length: fields.int() }, () => readEntry(fields, version))
  return {
    result: { version, compression, created, database, serverVersion, toolVersion, entries, intSize: fields.sizes.int },
    length: fields.at
  }
}

function algorithm(code: number): Head['compression'] {
  if (code === 0) return 'none'
  if (code === 1) return 'gzip'
  throw damaged('it is compressed with something else than gzip')
}

function readEntry(fields: FieldReader, version: number): Entry {
  const entry: Entry = {
    id: fields.int(),
    hasData: fields.int() !== 0,
    catalogOid: fields.string(),
    oid: fields.string(),
    tag: fields.string() ?? '',
    kind: fields.string() ?? '',
    section: fields.int(),
    definition: fields.string() ?? '',
    drop: fields.string() ?? '',
    copy: fields.string(),
    schema: fields.string(),
    tablespace: fields.string(),
    accessMethod: fields.string(),
    relkind: version >= 1016 ? fields.int() : 0,
    owner: fields.string(),
    needs: []
  }
  // Whether rows have an OID of their own: not since PostgreSQL 12.
  fields.string()
  for (let need = fields.string(); need !== null; need = fields.string()) entry.needs.push(Number(need))
  fields.bytes(1 + fields.sizes.offset)
  return entry
}
