import { createPublicKey, type KeyObject } from 'node:crypto'
import { fits, type PublicAlgorithm } from './algorithms.js'
import { isRecord } from './payload.js'

const most = 100
const largest = 512 * 1024

/** By `nameOf` of algorithm and key id. */
export type PublishedKeys = Map<string, { algorithm: PublicAlgorithm; material: KeyObject }>

export function nameOf(algorithm: string, kid: string): string {
  return `${algorithm} ${kid}`
}

/**
 * Asks an issuer for its keys. The address comes from the configuration, never from a token; redirects are not followed
 * and a large answer is not read to its end. Throws when there is no usable answer.
 */
export async function readKeys(
  url: string,
  algorithms: readonly PublicAlgorithm[],
  timeoutMs: number
): Promise<PublishedKeys> {
  const signal = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, {
    redirect: 'error',
    signal,
    headers: { accept: 'application/jwk-set+json, application/json' }
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`The issuer answered with status ${response.status}.`)
  }
  return keysIn(JSON.parse(await bodyOf(response)), algorithms)
}

async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > largest) throw new Error(`The issuer's answer is larger than ${largest} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/**
 * The public signature keys of a JWK set that the algorithms can use. Others are passed over: encryption keys, secrets
 * (a published one is known to all), private keys, RSA below 2,048 bits, keys without a `kid`. The first of two with
 * one name counts.
 */
export function keysIn(document: unknown, algorithms: readonly PublicAlgorithm[]): PublishedKeys {
  if (!isRecord(document) || !Array.isArray(document['keys'])) throw new Error('The issuer’s answer is not a JWK set.')
  const found: PublishedKeys = new Map()
  for (const jwk of document['keys'].slice(0, most)) {
    const material = publicKey(jwk)
    if (!material || !isRecord(jwk) || typeof jwk['kid'] !== 'string') continue
    for (const algorithm of algorithms) {
      const name = nameOf(algorithm, jwk['kid'])
      const meant = jwk['alg'] === undefined || jwk['alg'] === algorithm
      if (meant && fits(algorithm, material) && !found.has(name)) found.set(name, { algorithm, material })
    }
  }
  return found
}

function publicKey(jwk: unknown): KeyObject | undefined {
  if (!isRecord(jwk) || 'd' in jwk || (jwk['use'] !== undefined && jwk['use'] !== 'sig')) return undefined
  if (Array.isArray(jwk['key_ops']) && !jwk['key_ops'].includes('verify')) return undefined
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    return undefined
  }
}
