import { pipeline, Readable } from 'node:stream'
import { createDeflate } from 'node:zlib'
import { asSaasctlError, SaasctlError } from '../../../errors.js'
import type { Dump, DumpFacts } from '../../dump.js'
import type { Credentials, ServerAddress } from '../../engine.js'
import type { Entry } from '../archive/head.js'
import { LEVEL, writeHead, writeRows } from '../archive/write.js'
import { CUSTOM } from '../format.js'
import { SCHEMA } from '../furnish.js'
import type { Moment } from '../moment.js'
import { refreshesOf, refuseUncarried, sequencesOf, type TableContent, tablesOf } from './contents.js'
import { dumpSchema } from './schema.js'
import { entriesOf, plainEntry, section } from './script-entries.js'

const schemaRules = [
  '--no-owner',
  '--no-tablespaces',
  '--no-security-labels',
  '--no-subscriptions',
  `--exclude-table=${SCHEMA}.identity`
]

/**
 * The same archive that pg_dump makes, without it: the schema by a pg_dump in WASM, the rows by COPY, both in the moment
 * that is held. Any pg_restore reads it. What it cannot carry is refused by name before the stream begins.
 */
export async function portableDump(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { moment, signal, install }: { moment: Moment; signal: AbortSignal; install: string }
): Promise<Dump> {
  const { session, snapshot } = moment
  await refuseUncarried(session, database, install)
  const script = await dumpSchema(server, database, owner, { rules: schemaRules, snapshot, signal })
  const tables = await tablesOf(session)
  const numbered = numberedEntries(script, tables, await sequencesOf(session), await refreshesOf(session))
  const facts: DumpFacts = {
    format: CUSTOM,
    tool: `pg_dump ${toolVersion} (WASM)`,
    serverVersion: session.version,
    ...(await moment.facts())
  }
  const head = { database, serverVersion: session.version, entries: numbered }
  const stream = Readable.from(archive(moment, head, tables), { objectMode: false, highWaterMark: 256 * 1024 })
  const cancelled = (how: string) => new SaasctlError('CANCELLED', `The dump of database "${database}" was ${how}.`)
  const abort = () => stream.destroy(cancelled('cancelled'))
  signal.addEventListener('abort', abort, { once: true })
  const whole = new Promise<DumpFacts>((resolve, reject) => {
    stream.on('end', () => resolve(facts))
    stream.on('error', reject)
    stream.on('close', () => {
      signal.removeEventListener('abort', abort)
      if (stream.readableEnded) moment.release()
      else moment.abandon()
      reject(cancelled('given up'))
    })
  })
  whole.catch(() => undefined)
  if (signal.aborted) abort()
  return { format: CUSTOM, compressed: true, stream, facts: whole }
}

/** Of the pg_dump in the pinned package. */
const toolVersion = '18.3'

interface Head {
  database: string
  serverVersion: string
  entries: Entry[]
}

async function* archive({ session }: Moment, head: Head, tables: TableContent[]): AsyncGenerator<Buffer> {
  yield writeHead({ ...head, toolVersion })
  const withRows = head.entries.filter(({ hasData }) => hasData)
  for (const [index, { qualified, columns }] of tables.entries()) {
    const rows = Readable.from(withEnd(session.copyOut(`COPY ${qualified} ${columns} TO STDOUT`)), {
      objectMode: false
    })
    const compressed = pipeline(rows, createDeflate({ level: LEVEL, chunkSize: 64 * 1024 }), () => undefined)
    try {
      yield* writeRows(withRows[index] as Entry, compressed)
    } catch (error) {
      throw asSaasctlError(rows.errored ?? error)
    }
  }
}

/** pg_dump ends rows as psql would read them, and so does everything that reads archives. */
async function* withEnd(rows: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* rows
  yield Buffer.from('\\.\n\n\n')
}

type Unnumbered = Omit<Entry, 'id'>

/** In pg_dump's order: what stands before the rows, the rows, where sequences stand, everything else. */
function numberedEntries(
  script: string,
  tables: TableContent[],
  sequences: Awaited<ReturnType<typeof sequencesOf>>,
  refreshes: Awaited<ReturnType<typeof refreshesOf>>
): Entry[] {
  const { before, after } = entriesOf(script)
  const rows = tables.map(
    ({ schema, name, qualified, columns }): Unnumbered => ({
      ...plainEntry,
      section: section.data,
      kind: 'TABLE DATA',
      tag: name,
      schema,
      hasData: true,
      copy: `COPY ${qualified} ${columns} FROM stdin;\n`
    })
  )
  const said =
    (kind: string, where: number) =>
    (statement: { schema: string; name: string; sql: string }): Unnumbered => ({
      ...plainEntry,
      section: where,
      kind,
      tag: statement.name,
      schema: statement.schema,
      definition: statement.sql
    })
  return [
    ...beginning,
    ...before,
    ...rows,
    ...sequences.map(said('SEQUENCE SET', section.data)),
    ...after,
    ...refreshes.map(said('MATERIALIZED VIEW DATA', section.after))
  ].map((entry, index) => ({ id: index + 1, ...entry }))
}

/** What every archive begins with. */
const beginning: Unnumbered[] = [
  ['ENCODING', `SET client_encoding = 'UTF8';\n`],
  ['STDSTRINGS', `SET standard_conforming_strings = 'on';\n`],
  ['SEARCHPATH', `SELECT pg_catalog.set_config('search_path', '', false);\n`]
].map(([kind = '', definition = '']) => ({ ...plainEntry, kind, tag: kind, definition }))
