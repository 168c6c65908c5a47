import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { SaasctlError } from '../errors.js'
import { damaged, type Entry, Growth, type Names, refused } from './unpack-rules.js'

/** As far as gzip and tar say: whether every byte is as it was is for the archive's seal to say. */
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
  gunzip.on('data', (chunk: Buffer) => {
    try {
      growth.add(chunk.length)
    } catch (error) {
      fail(error as Error)
    }
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
}
