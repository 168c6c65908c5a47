import { createHash, hkdfSync } from 'node:crypto'
import { PassThrough, pipeline, Readable } from 'node:stream'
import { compressor, decompressor } from '../archives/compress.js'
import { FrameOpener, FrameSealer, SALT_BYTES } from '../archives/frames.js'
import { canonical, type Json } from '../canonical.js'
import { SaasctlError } from '../errors.js'
import { KEY_BYTES, type KeyStore, keyId } from '../secrets/keystore.js'

/**
 * What stands in clear at the beginning of a catalog's backup: nothing of a customer's. One file and not two, so that a copy
 * on a stick is whole: each frame is sealed with a key made from the control master and this very text, so none of it can be
 * changed unseen, and the counts that a manifest would hold come at the sealed end of each table.
 */
export interface CatalogHead {
  v: 1
  id: string
  takenAt: string
  /** The version of saasctl that wrote it. */
  program: string
  schemaVersion: number
  incarnation: string
  /** The control master that opens it. */
  keyId: string
}

const FIRST = 'saasctl catalog backup\n'
const LONGEST_HEAD = 4096
/** Of the frames: eight bytes that say what they are, and the salt. */
const FRAME_HEAD = 8 + SALT_BYTES

const textOf = (head: CatalogHead) => `${FIRST}${canonical(head as unknown as Json)}\n`

function keyOf(control: Buffer, head: string): Buffer {
  const about = `saasctl/1/catalog backup ${createHash('sha256').update(head).digest('hex')}`
  return Buffer.from(hkdfSync('sha256', control, '', about, KEY_BYTES))
}

/** The bytes to be stored: head, then the content compressed and sealed. */
export async function sealCatalog(
  keys: KeyStore,
  about: Omit<CatalogHead, 'v' | 'keyId'>,
  content: AsyncIterable<Buffer>
): Promise<Readable> {
  const control = await keys.read('control')
  const head = textOf({ v: 1, ...about, keyId: keyId(control) })
  const sealer = new FrameSealer(keyOf(control, head), about.id)
  pipeline([Readable.from(content), ...compressor('gzip'), sealer], () => {})
  return Readable.from(
    (async function* () {
      yield Buffer.from(head)
      yield* sealer
    })(),
    { objectMode: false }
  )
}

/**
 * Opens what `sealCatalog` gave. INVALID_INPUT for another kind of file, KEY_MISSING or KEY_WRONG without its control master;
 * what is damaged destroys the content with BACKUP_DAMAGED before it ends.
 */
export async function openCatalog(keys: KeyStore, stored: Readable): Promise<{ head: CatalogHead; content: Readable }> {
  const bytes = stored[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let held: Buffer = Buffer.of()
  const until = async (enough: () => boolean) => {
    while (!enough()) {
      const { value, done } = await bytes.next()
      if (done || held.length > LONGEST_HEAD + FRAME_HEAD) throw notABackup()
      held = Buffer.concat([held, value])
    }
  }
  try {
    await until(() => held.indexOf(10, FIRST.length) > 0)
    const end = held.indexOf(10, FIRST.length) + 1
    const text = held.toString('utf8', 0, end)
    const head = parse(text)
    const control = await keys.read('control')
    if (keyId(control) !== head.keyId) throw otherKey(head, keyId(control), keys)
    await until(() => held.length >= end + FRAME_HEAD)
    const rest = held.subarray(end)
    const opener = new FrameOpener(keyOf(control, text), head.id, rest.subarray(FRAME_HEAD - SALT_BYTES, FRAME_HEAD))
    const content = new PassThrough()
    const sealed = async function* () {
      yield rest
      for (let next = await bytes.next(); !next.done; next = await bytes.next()) yield next.value
    }
    pipeline([Readable.from(sealed()), opener, ...decompressor('gzip'), content], () => stored.destroy())
    return { head, content }
  } catch (error) {
    stored.destroy()
    throw error
  }
}

/** The id of the control master that opens it, of which no more is read than that takes. Undefined for another kind of file. */
export async function keyIdOf(stored: Readable): Promise<string | undefined> {
  let held: Buffer = Buffer.of()
  for await (const chunk of stored as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, chunk])
    const end = held.indexOf(10, FIRST.length) + 1
    if (end === 0 && held.length <= LONGEST_HEAD) continue
    try {
      return parse(held.toString('utf8', 0, end)).keyId
    } catch {
      break
    }
  }
  return undefined
}

function parse(text: string): CatalogHead {
  try {
    const head = JSON.parse(text.slice(FIRST.length)) as CatalogHead
    if (text.startsWith(FIRST) && head.v === 1 && textOf(head) === text) return head
  } catch {
    // Said below, whatever is wrong with it.
  }
  throw notABackup()
}

function notABackup(): SaasctlError {
  return new SaasctlError('INVALID_INPUT', 'The file is not a backup of a catalog, or its beginning was changed.', {
    hint: 'Give one that "saasctl catalog backups" lists.'
  })
}

function otherKey(head: CatalogHead, found: string, keys: KeyStore): SaasctlError {
  return new SaasctlError(
    'KEY_WRONG',
    `The catalog backup ${head.id} is sealed with control key ${head.keyId}, the key store (${keys.describe()}) holds ${found}.`,
    { hint: `Bring control key ${head.keyId} back from its backup: saasctl key restore FILE` }
  )
}
