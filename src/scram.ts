import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { SaasctlError } from './errors.js'
import type { Secret } from './secret.js'

const ITERATIONS = 4096

/**
 * The verifier that PostgreSQL stores for a password (RFC 5802, SCRAM-SHA-256). The server is given this and never the
 * password, so that neither its log nor its statistics can hold one.
 */
export async function scramVerifier(password: Secret): Promise<string> {
  const text = password.reveal()
  // Within printable ASCII, SASLprep changes nothing: libpq, pg and the server all hash the same bytes.
  if (!/^[\x20-\x7e]+$/.test(text)) {
    throw new SaasctlError('INVALID_INPUT', 'A database password may hold printable ASCII only, and not be empty.', {
      hint: 'Choose another password, or let one be generated.'
    })
  }
  const salt = randomBytes(16)
  const salted = await promisify(pbkdf2)(text, salt, ITERATIONS, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
