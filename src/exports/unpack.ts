import { createReadStream } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { quoteInput } from '../names.js'
import { type Entry, Names, refused } from './unpack-rules.js'
import { tarEntries } from './unpack-tar.js'
import { zipEntries } from './unpack-zip.js'

/** What kind of export a file is by its first bytes, whatever it is called. */
export async function kindOf(path: string): Promise<'folder' | 'tar.gz' | 'zip'> {
  const there = await lstat(path).catch(() => undefined)
  if (!there) throw refused(`There is no file or folder ${path}`, 'Name the file or folder of an export.')
  if (there.isDirectory()) return 'folder'
  if (!there.isFile()) throw refused(`${path} is neither a file nor a folder`, 'Name the file or folder of an export.')
  const head = await headOf(path)
  if (head.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]))) return 'tar.gz'
  if (head.subarray(0, 2).toString('latin1') === 'PK') return 'zip'
  if (head[0] !== 0x30) throw refused(`${path} is no export`, 'An export is a folder, a .tar.gz or a .zip.')
  throw refused(
    `${path} is encrypted`,
    'Open it first: openssl cms -decrypt -binary -inform DER -inkey KEY.pem -in FILE -out FILE.tar.gz'
  )
}

/**
 * Reads the files of a bag: a folder, a .tar.gz or a .zip, whatever it is called. Names that lead out of it, links, devices,
 * names that come twice and what grows beyond all measure are refused as INVALID_INPUT; nothing is written anywhere.
 */
export async function* entriesOf(path: string): AsyncGenerator<Entry> {
  const kind = await kindOf(path)
  if (kind === 'folder') return yield* folderEntries(path)
  const { size } = await lstat(path)
  if (kind === 'zip') yield* zipEntries(path, size, new Names())
  else yield* tarEntries(createReadStream(path), size, new Names())
}

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Not `opendir`: with `recursive`, that of Node 20 leaves out files of folders that hold more than 32. */
async function* folderEntries(root: string): AsyncGenerator<Entry> {
  for (const found of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(found.parentPath, found.name)
    const name = path
      .slice(root.length)
      .replace(/^[\\/]+/, '')
      .split(sep)
      .join('/')
    if (found.isDirectory()) continue
    if (!found.isFile()) throw refused(`${quoteInput(name)} is neither a file nor a folder`, 'An export has no links.')
    yield { path: name, content: createReadStream(path, { highWaterMark: 256 * 1024 }) }
  }
}
