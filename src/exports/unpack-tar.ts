import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { SaasctlError } from '../errors.js'
import { damaged, type Entry, Growth, type Names, refused } from './unpack.js'

/** What we write in front of every gzip; the byte behind it says on which system. */
const GZIP_HEAD = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4])
/** Unix, Windows, macOS, as zlib numbers them. */
const SYSTEMS = [3, 10, 19]

/** gzip vouches for all of tar by a checksum; what stands before and behind it is looked at here. */
export async function* tarEntries(file: Readable, bytes: number, names: Names): AsyncGenerator<Entry> {
  const growth = new Growth(bytes)
  const gunzip = createGunzip()
  const tar = extract()
  const fail = (error: Error) => {
    file.destroy()
    gunzip.destroy()
    tar.destroy(error)
  }
  file.on('error', fail)
  gunzip.on('error', error => fail(error instanceof SaasctlError ? error : damaged(error.message)))
  let head = true
  file.on('data', (chunk: Buffer) => {
    const ours = chunk.subarray(0, 9).equals(GZIP_HEAD) && SYSTEMS.includes(chunk[9] ?? -1)
    if (head && !ours) fail(damaged('it does not begin as saasctl begins it'))
    head = false
  })
  let ended = false
  gunzip.on('data', (chunk: Buffer) => {
    try {
      growth.add(chunk.length)
    } catch (error) {
      fail(error as Error)
    }
  })
  gunzip.on('end', () => {
    ended = true
  })
  file.pipe(gunzip).pipe(tar)
  try {
    for await (const entry of tar) {
      const { name, type } = entry.header
      if (type !== 'file' && type !== 'directory')
        throw refused(`"${name}" is a ${type}, not a file`, 'An export has no links.')
      const path = names.take(name)
      if (type === 'file') yield { path, content: entry as unknown as AsyncIterable<Buffer> }
      entry.resume()
    }
  } catch (thrown) {
    throw thrown instanceof SaasctlError ? thrown : damaged((thrown as Error).message)
  } finally {
    file.destroy()
    gunzip.destroy()
  }
  // It stops at the end of what was compressed, and would not say that something stands behind it.
  if (!ended || gunzip.bytesWritten !== bytes) throw damaged('something stands behind its end')
}
