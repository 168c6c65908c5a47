import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import { SaasctlError } from '../errors.js'

/**
 * A stream as frames of AES-256-GCM. Every frame but the last holds FRAME_BYTES, so no length is written down that could be
 * forged. The key belongs to this one stream (HKDF of the tenant's key and a random salt), the nonce is the frame's number
 * and whether it is the last, and the backup's id is authenticated with each: a frame that is missing, added, moved, changed
 * or of another backup does not open.
 */
export const FRAME_BYTES = 128 * 1024
export const SALT_BYTES = 32

const MAGIC = Buffer.from('saasctl1')
const HEADER_BYTES = MAGIC.length + SALT_BYTES
const TAG_BYTES = 16
const SEALED_BYTES = FRAME_BYTES + TAG_BYTES
const ALGORITHM = 'aes-256-gcm'

interface Opening {
  key: Buffer
  authenticated: Buffer
}

function opening(tenantKey: Buffer, backupId: string, salt: Buffer): Opening {
  const key = Buffer.from(hkdfSync('sha256', tenantKey, salt, 'saasctl/1/backup frames', 32))
  return { key, authenticated: Buffer.concat([MAGIC, salt, Buffer.from(backupId)]) }
}

function nonceOf(frame: number, last: boolean): Buffer {
  // 2^32 frames are 512 TiB; one more would repeat a nonce.
  if (frame > 0xffff_ffff) throw new SaasctlError('STORE_FULL', 'A backup cannot hold more than 512 TiB.')
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(frame, 7)
  nonce.writeUInt8(last ? 1 : 0, 11)
  return nonce
}

/** Seals what is written to it. `bytes`, `sha256` and `salt` are those of all that came out, once it has ended. */
export class FrameSealer extends Transform {
  readonly salt = randomBytes(SALT_BYTES)
  readonly #opening: Opening
  readonly #hash = createHash('sha256')
  #frame = 0
  #filled = 0
  #clear = Buffer.allocUnsafe(FRAME_BYTES)
  /** Goes out with the first frame: by itself it would be a write of its own. */
  #header: Buffer | undefined
  bytes = 0

  readonly #onBytes: (bytes: number) => void

  /** `onBytes` is told, frame by frame, how many bytes have come out so far. */
  constructor(tenantKey: Buffer, backupId: string, onBytes: (bytes: number) => void = () => {}) {
    super({ readableHighWaterMark: 4 * SEALED_BYTES, writableHighWaterMark: 2 * FRAME_BYTES })
    this.#onBytes = onBytes
    this.#opening = opening(tenantKey, backupId, this.salt)
    this.#header = Buffer.concat([MAGIC, this.salt])
  }

  sha256(): string {
    return this.#hash.copy().digest('hex')
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    try {
      for (let at = 0; at < chunk.length; ) {
        // Only now is it known that a full frame is not the last one.
        if (this.#filled === FRAME_BYTES) this.#seal(false)
        const taken = chunk.copy(this.#clear, this.#filled, at)
        this.#filled += taken
        at += taken
      }
      done()
    } catch (error) {
      done(error as Error)
    }
  }

  override _flush(done: TransformCallback): void {
    this.#seal(true)
    done()
  }

  #seal(last: boolean): void {
    const { key, authenticated } = this.#opening
    const cipher = createCipheriv(ALGORITHM, key, nonceOf(this.#frame, last), { authTagLength: TAG_BYTES })
    cipher.setAAD(authenticated)
    const sealed = cipher.update(this.#clear.subarray(0, this.#filled))
    cipher.final()
    const header = this.#header ? [this.#header] : []
    this.#header = undefined
    this.#send(Buffer.concat([...header, sealed, cipher.getAuthTag()]))
    this.#frame += 1
    this.#filled = 0
  }

  #send(part: Buffer): void {
    this.bytes += part.length
    this.#hash.update(part)
    this.push(part)
    this.#onBytes(this.bytes)
  }
}

/** Opens what a FrameSealer wrote. Fails with BACKUP_DAMAGED, and lets no byte of a frame out that does not open. */
export class FrameOpener extends Transform {
  readonly #backupId: string
  readonly #tenantKey: Buffer
  readonly #salt: Buffer
  #opening: Opening | undefined
  #held: Buffer[] = []
  #size = 0
  #frame = 0

  /** `salt` is what the manifest says: the object of another attempt at the same backup has another. */
  constructor(tenantKey: Buffer, backupId: string, salt: Buffer) {
    super({ readableHighWaterMark: 4 * FRAME_BYTES, writableHighWaterMark: 2 * SEALED_BYTES })
    this.#tenantKey = tenantKey
    this.#backupId = backupId
    this.#salt = salt
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    try {
      this.#held.push(chunk)
      this.#size += chunk.length
      if (!this.#opening && this.#size >= HEADER_BYTES) this.#begin()
      while (this.#opening && this.#size > SEALED_BYTES) this.#open(SEALED_BYTES, false)
      done()
    } catch (error) {
      done(error as Error)
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      if (!this.#opening || this.#size < TAG_BYTES) throw damaged(this.#backupId, 'it ends too early')
      this.#open(this.#size, true)
      done()
    } catch (error) {
      done(error as Error)
    }
  }

  #begin(): void {
    const header = Buffer.concat(this.#take(HEADER_BYTES))
    const salt = header.subarray(MAGIC.length)
    if (!header.subarray(0, MAGIC.length).equals(MAGIC) || !salt.equals(this.#salt)) {
      throw damaged(this.#backupId, 'it does not begin as its manifest says')
    }
    this.#opening = opening(this.#tenantKey, this.#backupId, salt)
  }

  /** So many bytes, in the pieces that they came in: joining them would copy every byte of a backup once more. */
  #take(count: number): Buffer[] {
    const taken: Buffer[] = []
    this.#size -= count
    for (let wanted = count; wanted > 0; ) {
      const part = this.#held[0] as Buffer
      taken.push(part.subarray(0, wanted))
      if (part.length > wanted) this.#held[0] = part.subarray(wanted)
      else this.#held.shift()
      wanted -= Math.min(wanted, part.length)
    }
    return taken
  }

  #open(size: number, last: boolean): void {
    const { key, authenticated } = this.#opening as Opening
    const decipher = createDecipheriv(ALGORITHM, key, nonceOf(this.#frame, last), { authTagLength: TAG_BYTES })
    decipher.setAAD(authenticated)
    const clear = this.#take(size - TAG_BYTES).map(part => decipher.update(part))
    decipher.setAuthTag(Buffer.concat(this.#take(TAG_BYTES)))
    try {
      decipher.final()
    } catch {
      throw damaged(this.#backupId, `frame ${this.#frame} does not open`)
    }
    this.#frame += 1
    for (const part of clear) this.push(part)
  }
}

export function damaged(backupId: string, how: string, cause?: unknown): SaasctlError {
  return new SaasctlError('BACKUP_DAMAGED', `Backup ${backupId} is not what was written: ${how}.`, {
    hint: 'Nothing was restored from it. Use another one, see "saasctl backup list", and look after the store.',
    cause
  })
}
