import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type S3Client
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { s3Error } from './s3-error.js'
import { objectName, objectPrefix, type PutOptions, type Range, type Store, type StoredObject } from './store.js'
import { type Count, counting, destroyOnAbort, endedAfterAbort, translated } from './streams.js'

const MEBIBYTE = 2 ** 20
/** How long an aborted upload may take to give its parts up; what it leaves is swept later. */
const PATIENCE_MS = 3_000
/** S3 takes 10,000 parts. */
const PARTS = 9_000
/** How long an upload may take to hear that it is not wanted any more; what it leaves is swept. */
const ABORT_MS = 10_000

/**
 * A bucket, or a part of one. S3 shows an object when its last part was confirmed, never before; parts of uploads that
 * were begun and not finished cost money until they are swept.
 */
export class S3Store implements Store {
  readonly url: string
  readonly #client: S3Client
  readonly #bucket: string
  readonly #folder: string

  constructor(client: S3Client, bucket: string, prefix: string) {
    this.#client = client
    this.#bucket = bucket
    this.#folder = prefix === '' ? '' : `${prefix}/`
    this.url = `s3://${bucket}${prefix && `/${prefix}`}`
  }

  async put(
    name: string,
    content: Readable,
    { signal, expectedBytes = 0 }: PutOptions = {}
  ): Promise<{ bytes: number }> {
    const count: Count = { bytes: 0 }
    const upload = new Upload({
      client: this.#client,
      params: { ...this.#at(name), Body: counting(content, count) },
      // In memory at once are queueSize parts: 16 MB and 72 GB as they come, more only for what is known to be larger.
      partSize: Math.max(8 * MEBIBYTE, Math.ceil(expectedBytes / PARTS)),
      queueSize: 2
    })
    const calm = destroyOnAbort(content, signal)
    // Not at once: it comes back before the parts are given up. A store that is silent is not waited for any longer.
    const abandon = () => setTimeout(() => upload.abort(), PATIENCE_MS).unref()
    signal?.addEventListener('abort', abandon, { once: true })
    try {
      await endedAfterAbort(upload.done(), signal, ABORT_MS)
      return { bytes: count.bytes }
    } catch (error) {
      content.destroy()
      throw s3Error(count.failure ?? error, name, this.url)
    } finally {
      calm()
      signal?.removeEventListener('abort', abandon)
    }
  }

  async get(name: string, range?: Range): Promise<Readable> {
    try {
      const wanted = range && { Range: `bytes=${range.start}-${range.end ?? ''}` }
      const { Body } = await this.#client.send(new GetObjectCommand({ ...this.#at(name), ...wanted }))
      return translated(Body as Readable, error => s3Error(error, name, this.url))
    } catch (error) {
      throw s3Error(error, name, this.url)
    }
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const where = { Bucket: this.#bucket, Prefix: `${this.#folder}${objectPrefix(prefix)}` }
    for (let after: string | undefined, more = true; more; ) {
      const page = await this.#send(prefix, () =>
        this.#client.send(new ListObjectsV2Command({ ...where, ContinuationToken: after }))
      )
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        yield { name: Key.slice(this.#folder.length), bytes: Size, at: LastModified ?? new Date(0) }
      }
      after = page.NextContinuationToken
      more = page.IsTruncated === true && after !== undefined
    }
  }

  async remove(name: string): Promise<void> {
    await this.#send(name, () => this.#client.send(new DeleteObjectCommand(this.#at(name))))
  }

  async sweep(prefix: string, before: Date): Promise<number> {
    const where = { Bucket: this.#bucket, Prefix: `${this.#folder}${objectPrefix(prefix)}` }
    const { Uploads = [] } = await this.#send(prefix, () => this.#client.send(new ListMultipartUploadsCommand(where)))
    const left = Uploads.filter(({ Initiated }) => (Initiated ?? new Date(0)) < before)
    for (const { Key, UploadId } of left) {
      const command = new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId })
      await this.#send(prefix, () => this.#client.send(command))
    }
    return left.length
  }

  #at(name: string) {
    return { Bucket: this.#bucket, Key: `${this.#folder}${objectName(name)}` }
  }

  async #send<T>(name: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw s3Error(error, name, this.url)
    }
  }
}
