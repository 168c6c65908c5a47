import { createReadStream } from 'node:fs'
import { access, open, readFile, rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { canonical } from '../canonical.js'
import type { Catalog, Snapshot } from '../catalog/catalog.js'
import { type CheckpointRow, headsAt } from '../catalog/checkpoints.js'
import type { ChainHead } from '../catalog/trail.js'
import { SaasctlError } from '../errors.js'
import { systemReason } from '../system-reason.js'
import { readBody } from './checkpoint.js'

/** A checkpoint kept elsewhere: the signed bytes, the raw signature beside them, and where each chain ended. */
export interface CheckpointFile {
  row: CheckpointRow
  /** Absent when only the first two files are there: then a break is found, but not where it is. */
  heads: (() => AsyncIterable<ChainHead>) | undefined
}

/**
 * Writes `file`, `file.sig` and `file.heads`; none of them may be there. The first comes last: where it is, the others are
 * whole. `openssl pkeyutl -verify` takes the first two as they are.
 */
export async function writeCheckpoint(catalog: Catalog, row: CheckpointRow, file: string): Promise<void> {
  const made: string[] = []
  try {
    await write(`${file}.heads`, made, catalog, row)
    await writeWhole(`${file}.sig`, made, row.signature)
    await writeWhole(file, made, row.body)
  } catch (error) {
    for (const path of made) await rm(path, { force: true })
    throw error
  }
}

/** INVALID_INPUT when one of the three is there: asked before the checkpoint is made. */
export async function checkFree(file: string): Promise<void> {
  for (const path of [file, `${file}.sig`, `${file}.heads`]) {
    const there = await access(path).then(
      () => true,
      () => false
    )
    if (there) trouble(path)(Object.assign(new Error(path), { code: 'EEXIST' }))
  }
}

async function write(path: string, made: string[], catalog: Catalog, { number }: CheckpointRow): Promise<void> {
  const place = await open(path, 'wx', 0o644).catch(trouble(path))
  made.push(path)
  try {
    await catalog.snapshot(async snapshot => {
      for await (const lines of headLines(snapshot, number)) await place.write(lines)
    })
    await place.sync()
  } finally {
    await place.close()
  }
}

/** Where each chain ended at a checkpoint: a line of canonical JSON each, many at a time. */
export async function* headLines(snapshot: Snapshot, number: number): AsyncIterable<string> {
  for await (const heads of headsAt(snapshot, number)) {
    yield heads.map(({ chain, seq, hash }) => `${canonical({ chain, hash, seq })}\n`).join('')
  }
}

async function writeWhole(path: string, made: string[], content: string | Buffer): Promise<void> {
  const place = await open(path, 'wx', 0o644).catch(trouble(path))
  made.push(path)
  try {
    await place.writeFile(content)
    await place.sync()
  } finally {
    await place.close()
  }
}

/** INVALID_INPUT for a file that is no checkpoint, or has no signature beside it. */
export async function readCheckpoint(file: string): Promise<CheckpointFile> {
  const [body, signature, listed] = await Promise.all([
    readFile(file, 'utf8').catch(trouble(file)),
    readFile(`${file}.sig`).catch(trouble(`${file}.sig`)),
    open(`${file}.heads`).then(
      async handle => handle.close().then(() => true),
      () => false
    )
  ])
  return checkpointOf(file, body, signature, listed ? () => readHeads(`${file}.heads`) : undefined)
}

/** What was read, taken apart. INVALID_INPUT when the body is no checkpoint's. */
export function checkpointOf(
  place: string,
  body: string,
  signature: Buffer,
  heads: CheckpointFile['heads']
): CheckpointFile {
  const said = readBody(body)
  if (!said) {
    throw new SaasctlError('INVALID_INPUT', `The file ${place} is no checkpoint of an audit trail.`, {
      hint: 'Give the file that "saasctl audit checkpoint --out" wrote.'
    })
  }
  const { number, at, keyId } = said
  return { row: { number, at: new Date(at), body, signature, keyId }, heads }
}

function readHeads(path: string): AsyncIterable<ChainHead> {
  return parseHeads(createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY }), path)
}

/** The heads that `headLines` wrote. INVALID_INPUT for anything else. */
export async function* parseHeads(lines: AsyncIterable<string>, path: string): AsyncGenerator<ChainHead> {
  for await (const line of lines) {
    const head = parse(line)
    if (!head)
      throw new SaasctlError('INVALID_INPUT', `The file ${path} is damaged.`, { hint: 'Give another copy of it.' })
    yield head
  }
}

function parse(line: string): ChainHead | undefined {
  try {
    const { chain, seq, hash } = JSON.parse(line) as ChainHead
    return typeof chain === 'string' && typeof seq === 'number' && typeof hash === 'string'
      ? { chain, seq, hash }
      : undefined
  } catch {
    return undefined
  }
}

function trouble(path: string): (cause: NodeJS.ErrnoException) => never {
  return cause => {
    const what =
      cause.code === 'EEXIST' ? 'is there already, and is not written over' : `cannot be used: ${systemReason(cause)}`
    throw new SaasctlError('INVALID_INPUT', `The file ${path} ${what}.`, { hint: 'Name another file.', cause })
  }
}
