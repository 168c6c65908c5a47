import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { SaasctlError } from '../../errors.js'
import type { Secret } from '../../secret.js'

/** A server that asks for more could keep us busy for as long as it likes. */
const MOST_ITERATIONS = 100_000

/** What a login by SCRAM is made with. As secret as the password itself. */
export interface Keys {
  client: Buffer
  stored: Buffer
  server: Buffer
}

export async function deriveKeys(password: Secret, salt: string, iterations: number): Promise<Keys> {
  const salted = await promisify(pbkdf2)(password.reveal(), Buffer.from(salt, 'base64'), iterations, 32, 'sha256')
  const client = hmac(salted, 'Client Key')
  return { client, stored: createHash('sha256').update(client).digest(), server: hmac(salted, 'Server Key') }
}

/** One login by SCRAM-SHA-256 (RFC 5802), without channel binding: `verify-full` has proved the server already. */
export class ScramLogin {
  readonly #nonce = randomBytes(18).toString('base64')
  readonly #keysFor: (salt: string, iterations: number) => Promise<Keys>
  #expected: Buffer | undefined
  /** The server has proved that it knows the password's verifier too. */
  verified = false

  constructor(keysFor: (salt: string, iterations: number) => Promise<Keys>) {
    this.#keysFor = keysFor
  }

  first(): string {
    return `n,,n=*,r=${this.#nonce}`
  }

  async answer(serverFirst: string): Promise<string> {
    const [, nonce = '', salt = '', count = ''] = FIRST.exec(serverFirst) ?? []
    const iterations = Number(count)
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length || !(iterations <= MOST_ITERATIONS)) {
      throw notOurs('The server’s part of the login is malformed.')
    }
    const keys = await this.#keysFor(salt, iterations)
    const withoutProof = `c=biws,r=${nonce}`
    const message = `n=*,r=${this.#nonce},${serverFirst},${withoutProof}`
    const signature = hmac(keys.stored, message)
    const proof = Buffer.from(keys.client.map((byte, index) => byte ^ (signature[index] ?? 0)))
    this.#expected = hmac(keys.server, message)
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  verify(serverFinal: string): void {
    const signature = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? '', 'base64')
    if (signature.length !== this.#expected?.length || !timingSafeEqual(signature, this.#expected)) {
      throw notOurs('The server could not prove that it knows the login’s password.')
    }
    this.verified = true
  }
}

const FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,6})(?:,|$)/

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

export const notOurs = (message: string) =>
  new SaasctlError('SERVER_DENIED', message, {
    hint: 'Look whether host and port are those of the server that was added, and at its pg_hba.conf: it must ask for scram-sha-256.'
  })
