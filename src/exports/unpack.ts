import { createReadStream } from 'node:fs'
import { lstat, open, opendir } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import { tarEntries } from './unpack-tar.js'
import { zipEntries } from './unpack-zip.js'

/** A file of a bag as it is read. Its content must be read to the end before the next comes. */
export interface Entry {
  /** From the bag's own folder, with `/`. */
  path: string
  content: AsyncIterable<Buffer>
}

/** What kind of export a file is by its first bytes, whatever it is called. */
export async function kindOf(path: string): Promise<'folder' | 'tar.gz' | 'zip'> {
  const there = await lstat(path).catch(() => undefined)
  if (!there) throw refused(`There is no ${path}`, 'Name the file or folder of an export.')
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

/** What an archive may not be: it is read by whoever was sent it. */
export const limits = {
  entries: 1_000_000,
  /** What a small archive may grow to, and how often its own size a large one. Rows of zeros come to about 200. */
  freeBytes: 64 * 2 ** 20,
  ratio: 400
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

async function* folderEntries(root: string): AsyncGenerator<Entry> {
  for await (const found of await opendir(root, { recursive: true })) {
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

/** The names of an archive: all in one folder, each once, none that leads elsewhere on any system. */
export class Names {
  #top: string | undefined
  readonly #seen = new Set<string>()

  /** The path within the bag's folder; empty for the folder itself. */
  take(name: string): string {
    const parts = name.replace(/\/$/, '').split('/')
    const odd = parts.some(part => part === '' || part === '.' || part === '..' || part.length > 255)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    if (odd || /[\\:\u0000-\u001f]/.test(name))
      throw refused(`The name ${quoteInput(name)} leads out of the archive`, HOW)
    const [top = '', ...rest] = parts
    this.#top ??= top
    if (top !== this.#top) throw refused(`${quoteInput(name)} is not in the folder ${quoteInput(this.#top)}`, HOW)
    const path = rest.join('/')
    if (this.#seen.has(path.toLowerCase())) throw refused(`${quoteInput(name)} is in the archive twice`, HOW)
    this.#seen.add(path.toLowerCase())
    if (this.#seen.size > limits.entries) throw refused('There are more than a million files in the archive', HOW)
    return path
  }
}

const HOW = 'saasctl writes no such archive; find out where it comes from.'

/** Counts what an archive grows to. */
export class Growth {
  readonly #most: number
  #bytes = 0

  constructor(archiveBytes: number) {
    this.#most = Math.max(limits.freeBytes, archiveBytes * limits.ratio)
  }

  add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#most) throw refused('The archive grows to more than 400 times its size', HOW)
  }
}

export function refused(what: string, hint: string): SaasctlError {
  return new SaasctlError('INVALID_INPUT', `${what}.`, { hint })
}

/** What does not have the form that its kind of archive has, anywhere in its bytes. */
export function damaged(what: string): SaasctlError {
  return new SaasctlError('CHECK_FOUND', `The archive is damaged: ${what}.`, {
    hint: 'Have the export sent again.'
  })
}
