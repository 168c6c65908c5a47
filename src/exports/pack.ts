import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { SEAL_COMMENT, seal } from './seal.js'

export const containers = ['folder', 'tar.gz', 'zip'] as const
export type Container = (typeof containers)[number]

/** What a file turned out to be when it had been written. */
export interface Written {
  bytes: number
  sha512: string
}

/** Takes the files of a bag one after the other; nothing of them stays in memory. */
export interface Pack {
  /** A longer file must come in several: what has its size in front of it is held until it is known. */
  readonly partBytes: number
  add(path: string, content: AsyncIterable<Buffer>): Promise<Written>
  /** No more files. */
  finish(): Promise<void>
}

/** A pack that comes out as one stream. */
export interface Archive extends Pack {
  output: Readable
}

/** Files under a folder that is there. */
export function folderPack(folder: string): Pack {
  return {
    partBytes: Number.POSITIVE_INFINITY,
    add: async (path, content) => {
      const file = join(folder, path)
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      const counted = counting(content)
      await pipeline(counted.stream, createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }))
      return counted.written()
    },
    finish: async () => {}
  }
}

/** Every file lies in one folder with this name, as BagIt wants it. All bear the time of the snapshot. */
export async function archivePack(container: 'tar.gz' | 'zip', top: string, at: Date): Promise<Archive> {
  return container === 'zip' ? zipPack(top, at) : tarPack(top, at)
}

const TAR_PART = 32 * 2 ** 20

async function tarPack(top: string, at: Date): Promise<Archive> {
  const { pack } = await import('tar-stream')
  const tar = pack()
  // Half the time of the default level and a tenth more bytes.
  const gzip = createGzip({ level: 1 })
  const output = seal('tar.gz')
  tar.on('error', error => output.destroy(error))
  gzip.on('error', error => output.destroy(error))
  tar.pipe(gzip).pipe(output)
  output.on('close', () => {
    tar.destroy()
    gzip.destroy()
  })
  return {
    partBytes: TAR_PART,
    output,
    add: async (path, content) => {
      const counted = counting(content)
      const bytes = await buffer(counted.stream)
      await untilClosed(output, (resolve, reject) => {
        const header = { name: `${top}/${path}`, size: bytes.length, mtime: at, mode: 0o644 }
        tar.entry(header, error => (error ? reject(error) : resolve())).end(bytes)
      })
      return counted.written()
    },
    finish: async () => tar.finalize()
  }
}

async function zipPack(top: string, at: Date): Promise<Archive> {
  const { default: yazl } = await import('yazl')
  const zip = new yazl.ZipFile()
  const output = seal('zip')
  zip.on('error', (error: Error) => output.destroy(error))
  zip.outputStream.pipe(output)
  return {
    partBytes: Number.POSITIVE_INFINITY,
    output,
    add: async (path, content) => {
      const counted = counting(content)
      await untilClosed(output, (resolve, reject) => {
        counted.stream.on('end', resolve).on('error', reject)
        zip.addReadStream(counted.stream, `${top}/${path}`, {
          mtime: at,
          mode: 0o100644,
          compressionLevel: 1,
          forceDosTimestamp: true
        })
      })
      return counted.written()
    },
    finish: async () => zip.end({ comment: SEAL_COMMENT, forceZip64Format: false })
  }
}

/** An archive whose reader is gone takes nothing more, and says nothing. */
async function untilClosed(
  output: Readable,
  act: (resolve: () => void, reject: (error: Error) => void) => void
): Promise<void> {
  let closed: (() => void) | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      closed = () => reject(output.errored ?? new Error('The export is not read any more.'))
      if (output.destroyed) return closed()
      output.once('close', closed)
      act(resolve, reject)
    })
  } finally {
    if (closed) output.off('close', closed)
  }
}

function counting(content: AsyncIterable<Buffer>): { stream: Readable; written(): Written } {
  const hash = createHash('sha512')
  let bytes = 0
  async function* counted() {
    for await (const piece of content) {
      hash.update(piece)
      bytes += piece.length
      yield piece
    }
  }
  return {
    stream: Readable.from(counted(), { objectMode: false }),
    written: () => ({ bytes, sha512: hash.digest('hex') })
  }
}
