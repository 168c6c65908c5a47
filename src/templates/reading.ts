import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Json } from '../canonical.js'
import { SaasctlError } from '../errors.js'
import type { Report } from './shape.js'

/** One reading of a templates folder. Collects what is wrong in any of its files, so that all of it is said at once. */
export class Reading {
  readonly folder: string
  readonly #problems: string[] = []

  constructor(folder: string) {
    this.folder = folder
  }

  report(file: string): Report {
    return (path, problem) => this.#problems.push(`${file}: ${path}${path && ' '}${problem}`)
  }

  /** Whether anything was reported yet. */
  get clean(): boolean {
    return this.#problems.length === 0
  }

  /** The text of a file, or undefined with the problem reported at `path` of the file that names it. */
  async text(file: string, report: Report, path = ''): Promise<string | undefined> {
    try {
      return await readFile(join(this.folder, file), 'utf8')
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const what = path === '' ? '' : `names ${file}, which `
      report(path, `${what}${code === 'ENOENT' || code === 'ENOTDIR' ? 'is missing' : `cannot be read: ${message}`}`)
      return undefined
    }
  }

  async json(file: string): Promise<Json | undefined> {
    const content = await this.text(file, this.report(file))
    try {
      return content === undefined ? undefined : JSON.parse(content)
    } catch (error) {
      this.report(file)('', `is not JSON: ${(error as Error).message}`)
      return undefined
    }
  }

  /** Throws CONFIG_INVALID with every problem found, or does nothing. */
  end(): void {
    const problems = this.#problems
    if (problems.length === 0) return
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
    throw new SaasctlError(
      'CONFIG_INVALID',
      `The templates folder ${this.folder} has ${count}: ${problems.join('; ')}.`,
      {
        hint: 'Correct the files, then run the command again.',
        data: { problems }
      }
    )
  }
}
