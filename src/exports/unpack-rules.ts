import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** A file of a bag as it is read. Its content must be read to the end before the next comes. */
export interface Entry {
  /** From the bag's own folder, with `/`. */
  path: string
  content: AsyncIterable<Buffer>
}

/** What an archive may not be: it is read by whoever was sent it. */
export const limits = {
  entries: 1_000_000,
  /** What a small archive may grow to, and how often its own size a large one. Rows of zeros come to about 200. */
  freeBytes: 64 * 2 ** 20,
  ratio: 400
}

/** The names of an archive: all in one folder, each once, none that leads elsewhere on any system. */
export class Names {
  #top: string | undefined
  readonly #seen = new Set<string>()

  /** The path within the bag's folder; empty for the folder itself. */
  take(name: string): string {
    const parts = name.replace(/\/$/, '').split('/')
    const odd = parts.some(part => part === '' || part === '.' || part === '..' || part.length > 255)
    if (odd || /[\\:]|\p{Cc}/u.test(name)) throw refused(`The name ${quoteInput(name)} leads out of the archive`, HOW)
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
