import { Readable } from 'node:stream'
import { SaasctlError } from '../../errors.js'
import { linesOf } from '../lines.js'
import { answerOf } from './errors.js'
import { isLeftOut, type Piece, PlainDump } from './plain-dump.js'
import type { Session } from './session.js'

const UTF8 = 'Take it with "pg_dump --encoding=UTF8".'

/** Reads a plain dump to its end, and refuses what is none. Nothing is sent anywhere. */
export async function checkDump(stream: Readable): Promise<void> {
  const dump = new PlainDump()
  const lines = linesOf(plain(stream), UTF8)
  for await (const line of lines) {
    if (dump.take(line)?.copy) for await (const _ of rows(lines, dump));
  }
}

/**
 * Plays a plain dump as the database's owner, in one transaction: whole or not at all. Not by psql, which takes commands of
 * its own from a script. The session is of no other use afterwards: a dump leaves settings behind.
 */
export async function load(session: Session, stream: Readable): Promise<void> {
  const dump = new PlainDump()
  const lines = linesOf(stream, UTF8)
  await session.run('BEGIN; SET LOCAL search_path = public')
  for await (const line of lines) {
    const piece = dump.take(line)
    if (piece) await play(session, piece, () => rows(lines, dump))
  }
  const last = dump.end()
  if (last) await play(session, last, () => rows(lines, dump))
  await session.run('COMMIT')
}

async function* plain(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let first = true
  for await (const chunk of stream) {
    if (first && chunk.toString('latin1', 0, 5) === 'PGDMP') {
      throw new SaasctlError('INVALID_INPUT', 'The dump is in pg_dump’s custom form.', {
        hint: 'Make text of it with "pg_restore --no-owner --file dump.sql", and load that.'
      })
    }
    first = false
    yield chunk
  }
}

async function play(session: Session, piece: Piece, rowsOf: () => AsyncIterable<string>): Promise<void> {
  const { sql, line, copy } = piece
  try {
    if (copy) await session.copyIn(sql, Readable.from(rowsOf(), { objectMode: false }))
    else if (!isLeftOut(sql)) await session.run(sql)
  } catch (error) {
    const answer = answerOf(error)
    if (!answer || !(error instanceof SaasctlError) || error.retryable) throw error
    const place = `in database "${session.place.database}"`
    throw new SaasctlError('MIGRATION_FAILED', `The dump failed at line ${line} ${place}: ${answer.said}.`, {
      hint: 'Nothing of it was kept. Mend the dump, or what it needs, and create the tenant again.'
    })
  }
}

async function* rows(lines: AsyncGenerator<string>, dump: PlainDump): AsyncGenerator<string> {
  // By hand: leaving a for-await loop would end the lines.
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    dump.skip()
    if (/^\\\.\r?$/.test(next.value)) return
    yield `${next.value}\n`
  }
  throw new SaasctlError('INVALID_INPUT', 'The dump ends within the rows of a table.', { hint: 'Take it once more.' })
}
