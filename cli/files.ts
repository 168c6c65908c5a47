import { open, rm } from 'node:fs/promises'
import { SaasctlError } from '../src/errors.js'

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
  const what = cause.code === 'EEXIST' ? 'is there already, and is not written over' : `cannot be used: ${cause.code}`
  throw new SaasctlError('INVALID_INPUT', `The file ${cause.path ?? ''} ${what}.`, {
    hint: 'Name another file.',
    cause
  })
}
