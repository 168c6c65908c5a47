import { open, readFile, rm } from 'node:fs/promises'
import { SaasctlError } from '../src/errors.js'
import { systemReason } from '../src/system-reason.js'

/** A new private file: made before its content is, and gone again when that fails. INVALID_INPUT when it is there already. */
export async function writeNew(file: string, content: () => Promise<string | Buffer>): Promise<void> {
  const place = await open(file, 'wx', 0o600).catch(fileTrouble)
  try {
    await place.writeFile(await content())
  } catch (error) {
    await rm(file)
    throw error
  } finally {
    await place.close()
  }
}

export function fileTrouble(cause: NodeJS.ErrnoException): never {
  const what =
    cause.code === 'EEXIST' ? 'is there already, and is not written over' : `cannot be used: ${systemReason(cause)}`
  throw new SaasctlError('INVALID_INPUT', `The file ${cause.path ?? ''} ${what}.`, {
    hint: 'Name another file.',
    cause
  })
}

/** A file that was named on the command line. INVALID_INPUT when it cannot be read. */
export function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new SaasctlError('INVALID_INPUT', `${file} cannot be read: ${systemReason(cause)}.`, {
      hint: 'Name another file.',
      cause
    })
  })
}
