import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import yauzl, { type Entry as ZipEntry, type ZipFile } from 'yauzl'
import { SaasctlError } from '../errors.js'
import { damaged, type Entry, Growth, type Names, refused } from './unpack-rules.js'

/** As far as zip says: whether every byte is as it was is for the archive's seal to say. */
export async function* zipEntries(path: string, bytes: number, names: Names): AsyncGenerator<Entry> {
  const growth = new Growth(bytes)
  let zip: ZipFile | undefined
  try {
    zip = await promisify<string, object, ZipFile>(yauzl.open)(path, {
      lazyEntries: true,
      autoClose: false,
      strictFileNames: true
    })
    const entries: ZipEntry[] = []
    for await (const entry of each(zip)) {
      if (entry.fileName.endsWith('/')) {
        names.take(entry.fileName)
        continue
      }
      // The high half holds what Unix says of the file: nothing, when it was packed again on Windows or by Python.
      const kind = (entry.externalFileAttributes >>> 16) & 0o170000
      if (kind !== 0 && kind !== 0o100000) throw refused(`"${entry.fileName}" is not a file`, 'An export has no links.')
      if (entry.isEncrypted()) throw refused(`"${entry.fileName}" is encrypted`, 'saasctl writes no such archive.')
      growth.add(entry.uncompressedSize)
      entries.push(entry)
    }
    for (const entry of entries) {
      const content = await promisify<ZipEntry, Readable>(zip.openReadStream.bind(zip))(entry)
      yield { path: names.take(entry.fileName), content: said(content, entry.fileName) }
    }
  } catch (thrown) {
    throw thrown instanceof SaasctlError ? thrown : damaged((thrown as Error).message)
  } finally {
    zip?.close()
  }
}

async function* each(zip: ZipFile): AsyncGenerator<ZipEntry> {
  for (let count = 0; count < zip.entryCount; count += 1) {
    yield await new Promise<ZipEntry>((resolve, reject) => {
      zip.once('error', reject)
      zip.once('entry', (entry: ZipEntry) => {
        zip.off('error', reject)
        resolve(entry)
      })
      zip.readEntry()
    })
  }
}

async function* said(content: Readable, name: string): AsyncGenerator<Buffer> {
  try {
    yield* content
  } catch (error) {
    throw damaged(`${name}: ${(error as Error).message}`)
  }
}
