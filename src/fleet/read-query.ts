import { readFile, stat } from 'node:fs/promises'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

const LARGEST = 1024 * 1024

/** The statement in a file. INVALID_INPUT when there is none to read; that it is one statement, the servers see to. */
export async function readQuery(file: string): Promise<string> {
  const refuse = (what: string, cause?: unknown) =>
    new SaasctlError('INVALID_INPUT', `The query ${quoteInput(file)} ${what}.`, {
      hint: 'Give a file with one SELECT.',
      cause
    })
  const found = await stat(file).catch(cause => {
    throw refuse('cannot be read', cause)
  })
  if (!found.isFile()) throw refuse('is not a file')
  if (found.size > LARGEST) throw refuse('is larger than 1 MB')
  const sql = (await readFile(file, 'utf8')).trim().replace(/;\s*$/, '')
  if (sql === '') throw refuse('is empty')
  return sql
}
