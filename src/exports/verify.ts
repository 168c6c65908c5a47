import { createHash } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { basename } from 'node:path'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { readPublicKeys } from '../secrets/signing.js'
import { attestationFiles, checkAttestation, type Predicate } from './attestation.js'
import { BAG_DECLARATION, MANIFEST, TAG_MANIFEST, taggedFiles } from './bag.js'
import { sealHolds } from './seal.js'
import { entriesOf, kindOf } from './unpack.js'

export interface Problem {
  file: string
  problem: string
}

export interface Verdict {
  intact: boolean
  /** `unknown` without a key; `signed` when one of the given keys signed it. */
  signer: 'signed' | 'unknown' | 'wrong'
  /** The key that it says it was signed with. */
  keyId: string | null
  files: number
  bytes: number
  problems: Problem[]
  /** What the signed statement says. Believe it only when it is intact and signed. */
  says: Predicate | null
}

/** Only these are held in memory; nobody's tables are among them. */
const HELD = new Set([...taggedFiles, TAG_MANIFEST, ...attestationFiles])
const HELD_BYTES = 256 * 2 ** 20

/**
 * Whether an export is whole and unchanged to the byte, and with public keys, as "audit key" prints them with the
 * retired ones, whether one of them signed it. Needs neither catalog nor network. What is wrong is said with the name of the
 * file; what is no export at all is INVALID_INPUT.
 */
export async function verifyExport(path: string, publicKeysPem?: string): Promise<Verdict> {
  const keys = publicKeysPem === undefined ? undefined : readPublicKeys(publicKeysPem)
  const hashes = new Map<string, string>()
  const held = new Map<string, Buffer>()
  const problems: Problem[] = []
  let bytes = 0
  try {
    for await (const { path: name, content } of entriesOf(path)) {
      const hash = createHash('sha512')
      const parts: Buffer[] = []
      let size = 0
      for await (const piece of content) {
        hash.update(piece)
        size += piece.length
        if (HELD.has(name)) parts.push(piece)
        if (HELD.has(name) && size > HELD_BYTES) throw tooLong(name)
      }
      bytes += size
      hashes.set(name, hash.digest('hex'))
      if (HELD.has(name)) held.set(name, Buffer.concat(parts))
    }
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    if (error.code !== 'CHECK_FOUND') throw error
    problems.push({ file: [...hashes.keys()].at(-1) ?? path, problem: error.message.replace(/\.$/, '') })
  }
  problems.push(...(await checkArchive(path)), ...checkBag(hashes, held))
  const tagManifest = hashes.get(TAG_MANIFEST) ?? ''
  const { problems: doubts, keyId, predicate } = checkAttestation(held, tagManifest, keys)
  problems.push(...doubts)
  const intact = problems.length === 0
  const signer = keys === undefined ? 'unknown' : intact ? 'signed' : 'wrong'
  return { intact, signer, keyId: keyId ?? null, files: hashes.size, bytes, problems, says: predicate ?? null }
}

/** An archive that unpacks to the right files and is not, to the byte, what was written. */
async function checkArchive(path: string): Promise<Problem[]> {
  const kind = await kindOf(path)
  if (kind === 'folder' || (await sealHolds(path, kind, (await lstat(path)).size))) return []
  return [{ file: basename(path), problem: 'was changed, or is not the archive that saasctl wrote' }]
}

/** Every file that there is must be vouched for, and every one that is vouched for must be there. */
function checkBag(hashes: ReadonlyMap<string, string>, held: ReadonlyMap<string, Buffer>): Problem[] {
  const problems: Problem[] = []
  const wrong = (file: string, problem: string) => problems.push({ file, problem })
  const payload = parseManifest(held.get(MANIFEST))
  const tags = parseManifest(held.get(TAG_MANIFEST))
  if (!payload) wrong(MANIFEST, 'is missing, or is not a manifest')
  if (!tags || [...tags.keys()].join() !== taggedFiles.join())
    wrong(TAG_MANIFEST, 'is missing, or does not list what it must')
  if (held.get('bagit.txt')?.toString() !== BAG_DECLARATION) wrong('bagit.txt', 'is not the declaration of a bag')
  for (const [name, expected] of [...(payload ?? []), ...(tags ?? [])]) {
    const actual = hashes.get(name)
    if (actual === undefined) wrong(name, 'is missing')
    else if (actual !== expected) wrong(name, 'was changed')
  }
  const known = new Set([...(payload?.keys() ?? []), ...HELD])
  for (const name of hashes.keys()) if (!known.has(name)) wrong(name, 'is not part of the export')
  for (const name of attestationFiles) if (!hashes.has(name)) wrong(name, 'is missing')
  return problems
}

/** As `sha512sum` reads it; undefined for anything that it would read in another way. */
function parseManifest(text: Buffer | undefined): Map<string, string> | undefined {
  if (text === undefined || !text.toString().endsWith('\n')) return undefined
  const found = new Map<string, string>()
  for (const line of text.toString().slice(0, -1).split('\n')) {
    const [, hash, name] = /^([0-9a-f]{128}) {2}([A-Za-z0-9_./-]+)$/.exec(line) ?? []
    if (hash === undefined || name === undefined || found.has(name) || name.includes('..')) return undefined
    found.set(name, hash)
  }
  return found
}

function tooLong(name: string): SaasctlError {
  return new SaasctlError('INVALID_INPUT', `${name} is longer than any that saasctl writes.`, {
    hint: 'Find out where the export comes from.'
  })
}
