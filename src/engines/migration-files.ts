import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { MigrationFile } from './engine.js'
import { parseMigration } from './migration-file.js'
import type { Dialect } from './statements.js'

interface Problem {
  file: string
  line: number
  message: string
}

/**
 * Reads a folder of migrations in node-pg-migrate's format, in node-pg-migrate's order, and hashes each file once.
 * Every problem in any file is found before one CONFIG_INVALID is thrown that names them all with file and line.
 */
export async function loadMigrations(folder: string, dialect: Dialect = {}): Promise<MigrationFile[]> {
  const problems: Problem[] = []
  const names = await fileNames(folder)
  const good = names.filter(file => {
    const problem = nameProblem(file)
    if (problem) problems.push({ file, line: 1, message: problem })
    return !problem
  })
  good.sort(compareFileNames)
  for (const [index, file] of good.entries()) {
    const before = good[index - 1]
    if (before === undefined) continue
    if (nameOf(before) === nameOf(file)) problems.push({ file, line: 1, message: `has the same name as ${before}` })
    else if (compareFileNames(before, file) === 0) {
      problems.push({ file, line: 1, message: `has no order beside ${before}: change the number of one` })
    }
  }
  const files: MigrationFile[] = []
  for (const file of good) {
    const bytes = await readFile(join(folder, file))
    files.push(parseMigration(file, bytes, dialect, (line, message) => problems.push({ file, line, message })))
  }
  if (problems.length > 0) throw refused(folder, problems)
  return files
}

async function fileNames(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter(entry => !entry.isDirectory() && !entry.name.startsWith('.')).map(entry => entry.name)
  } catch (error) {
    throw new SaasctlError('CONFIG_INVALID', `The migrations folder ${quoteInput(folder)} cannot be read.`, {
      hint: 'Create it, or name another folder in the template.',
      cause: error
    })
  }
}

const nameOf = (file: string): string => file.slice(0, -extname(file).length)

function nameProblem(file: string): string | undefined {
  if (extname(file).toLowerCase() !== '.sql') return 'is not an .sql file; nothing else belongs in this folder'
  if (Number.isNaN(numericPrefix(file))) return 'does not begin with a number that orders it'
  if (nameOf(file).length > 255) return 'has a name of more than 255 characters'
  if (/\p{Cc}/u.test(file)) return 'has a control character in its name'
  return undefined
}

/** As node-pg-migrate reads it: 17 digits are a UTC time, anything else is the number itself. NaN without one. */
function numericPrefix(file: string): number {
  const digits = /^\d+/.exec(file)?.[0] ?? ''
  const time = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})$/.exec(digits)
  if (!time) return digits === '' ? Number.NaN : Number(digits)
  const [, year, month, day, hour, minute, second, ms] = time
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
}

/** node-pg-migrate 9's order, to the letter: number first, then the names as people sort them. */
export function compareFileNames(a: string, b: string): number {
  const options = { usage: 'sort', numeric: true, sensitivity: 'variant', ignorePunctuation: true } as const
  return numericPrefix(a) - numericPrefix(b) || a.localeCompare(b, undefined, options)
}

function refused(folder: string, problems: Problem[]): SaasctlError {
  const shown = problems.map(({ file, line, message }) => `${file}:${line} ${message}`)
  const rest = shown.length > 5 ? `; and ${shown.length - 5} more` : ''
  const message = `The migrations in ${quoteInput(folder)} cannot be used: ${shown.slice(0, 5).join('; ')}${rest}.`
  return new SaasctlError('CONFIG_INVALID', message, {
    hint: 'Mend the files; nothing was run.',
    data: { problems: problems.map(problem => ({ ...problem })) }
  })
}
