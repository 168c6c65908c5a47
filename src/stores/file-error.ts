import { errno } from '../disk.js'
import { SaasctlError } from '../errors.js'

/**
 * What the file system says of an object, as one of our errors; what the content's own stream failed with stays. `sought` is
 * false where it was to be written: a folder that cannot be made, on a disk that is read-only, is not there either.
 */
export function fileError(error: unknown, name: string, url: string, sought = true): unknown {
  if (error instanceof SaasctlError || !(error instanceof Error) || !('syscall' in error)) return error
  const code = errno(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SaasctlError('STORE_FULL', `The store ${url} has no room left for ${name}.`, {
      hint: 'Make room, or remove old backups with "saasctl backup prune"; then try again.',
      cause: error
    })
  }
  if (code === 'ENOENT' && sought) return missing(name, url, error)
  return new SaasctlError('STORE_REFUSED', `The store ${url} could not be used for ${name} (${code}).`, {
    hint: 'Run as the user who owns the folder, and look whether its disk is mounted, sound and not read-only.',
    cause: error
  })
}

export function missing(name: string, url: string, cause: unknown): SaasctlError {
  return new SaasctlError('STORE_MISSING', `The store ${url} has no ${name}.`, {
    hint: 'Somebody removed it, or this is another folder or bucket than the one it was written to.',
    cause
  })
}
