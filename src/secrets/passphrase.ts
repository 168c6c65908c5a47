import { createSecretKey, type KeyObject, scrypt } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import type { Secret } from '../secret.js'
import { KEY_BYTES } from './keystore.js'

export interface Cost {
  N: number
  r: number
  p: number
}

/** 128 MB of memory and about 0.4 s for each guess. */
export const costNow: Cost = { N: 2 ** 17, r: 8, p: 1 }

const SHORTEST = 12
const MOST_MEMORY = 2 ** 30

/** Throws INVALID_INPUT for a passphrase under 12 characters. */
export function checkPassphrase(passphrase: Secret): void {
  if ([...normal(passphrase)].length >= SHORTEST) return
  throw new SaasctlError('INVALID_INPUT', `The passphrase has fewer than ${SHORTEST} characters.`, {
    hint: 'Use five or more random words, and keep them where the backup is not.'
  })
}

/** The key that a passphrase stands for. Refuses costs, read from a file, that would take the machine's memory. */
export async function stretch(passphrase: Secret, salt: Buffer, { N, r, p }: Cost): Promise<KeyObject> {
  const memory = 128 * N * r
  if (!Number.isInteger(Math.log2(N)) || N < 2 || r < 1 || p < 1 || p > 16 || memory > MOST_MEMORY) {
    throw new SaasctlError('INVALID_INPUT', 'The key backup asks for a scrypt cost that is impossible or above 1 GB.', {
      hint: 'No saasctl wrote it so; try another copy of the file.'
    })
  }
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const done = (error: Error | null, key: Buffer) => (error ? reject(error) : resolve(key))
    scrypt(normal(passphrase), salt, KEY_BYTES, { N, r, p, maxmem: memory + 2 ** 25 }, done)
  })
  return createSecretKey(bytes)
}

/** Keyboards differ in how they write an é: composed, so that a passphrase opens on another machine. */
function normal(passphrase: Secret): string {
  return passphrase.reveal().normalize('NFKC')
}
