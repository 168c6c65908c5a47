import { canonical, type Json } from '../canonical.js'
import { type PublicKey, type Signer, signedBy } from '../secrets/signing.js'
import type { SchemaProof } from './schema.js'

/** What an export says of itself, in the signature. No value of a row is in it. */
export interface Predicate extends Record<string, Json> {
  export: string
  tenant: { id: string; slug: string }
  /** `schema` is how it is known to be of the moment too; an older export does not say. */
  snapshot: { position: string | null; at: string; server: string; schema?: SchemaProof }
  tool: string
  formats: string[]
  tables: number
  rows: number
  /** Column, rule and how; empty means that nothing was left out on purpose. */
  redactions: Json[]
  /** What is in the database and not in the export, in words. */
  missing: string[]
  asked: { by: string; proof: string; at: string; reason: string }
}

export const ENVELOPE = 'attestation.dsse.json'
export const SIGNED = 'attestation.pae'
export const SIGNATURE = 'attestation.sig'
export const attestationFiles = [ENVELOPE, SIGNED, SIGNATURE]

const PAYLOAD_TYPE = 'application/vnd.in-toto+json'
const PREDICATE_TYPE = 'https://saasctl.dev/attestation/export/v1'
const SUBJECT = 'tagmanifest-sha512.txt'

/** DSSE over an in-toto statement; what was signed and the bare signature stand beside it, for openssl. */
export function attest(signer: Signer, tagManifest: string, predicate: Predicate): Map<string, Buffer> {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: SUBJECT, digest: { sha512: tagManifest } }],
    predicateType: PREDICATE_TYPE,
    predicate
  }
  const payload = Buffer.from(canonical(statement))
  const signed = encodingOf(payload)
  const signature = signer.sign(signed)
  return new Map([
    [ENVELOPE, envelopeOf(payload, signature, signer.keyId)],
    [SIGNED, signed],
    [SIGNATURE, signature]
  ])
}

/** DSSE's pre-authentication encoding: no other bytes can be read as the same type and payload. */
function encodingOf(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload])
}

function envelopeOf(payload: Buffer, signature: Buffer, keyid: string): Buffer {
  const signatures = [{ keyid, sig: signature.toString('base64') }]
  return Buffer.from(`${canonical({ payload: payload.toString('base64'), payloadType: PAYLOAD_TYPE, signatures })}\n`)
}

export interface Checked {
  problems: Array<{ file: string; problem: string }>
  /** Whose key it says it was signed with. */
  keyId: string | undefined
  predicate: Predicate | undefined
}

/**
 * Looks whether the three files say the same and speak of this tag manifest, to the byte. With keys, whether one of
 * them signed them; without, nothing is known of who did.
 */
export function checkAttestation(
  files: ReadonlyMap<string, Buffer>,
  tagManifest: string,
  keys?: readonly PublicKey[]
): Checked {
  const [envelope, signed, signature] = attestationFiles.map(name => files.get(name) ?? Buffer.alloc(0))
  const found: Checked = { problems: [], keyId: undefined, predicate: undefined }
  const wrong = (file: string, problem: string) => found.problems.push({ file, problem })
  const parsed = parse(envelope)
  if (!parsed) {
    wrong(ENVELOPE, 'is not an envelope of saasctl')
    return found
  }
  const { payload, keyId, signature: enclosed } = parsed
  found.keyId = keyId
  if (!envelopeOf(payload, enclosed, keyId).equals(envelope ?? payload)) wrong(ENVELOPE, 'is not as saasctl writes it')
  // Which of two that differ was changed, only the key can tell.
  const apart = (file: string) => {
    wrong(file, 'is not what the envelope holds')
    wrong(ENVELOPE, `does not hold what ${file} says`)
  }
  if (!encodingOf(payload).equals(signed ?? payload)) apart(SIGNED)
  if (!enclosed.equals(signature ?? payload)) apart(SIGNATURE)
  const statement = statementOf(payload)
  if (statement?.subject?.[0]?.digest?.sha512 !== tagManifest) wrong(ENVELOPE, `does not speak of this ${SUBJECT}`)
  found.predicate = statement?.predicate
  if (keys) {
    const signer = keys.find(({ publicKey }) => signedBy(publicKey, signed ?? payload, signature ?? payload))
    if (!signer)
      wrong(SIGNATURE, keys.length === 1 ? 'is not of the key that was given' : 'is of none of the keys given')
    else if (signer.keyId !== keyId) wrong(ENVELOPE, 'names another key than the one that signed')
  }
  return found
}

function parse(envelope: Buffer | undefined): { payload: Buffer; keyId: string; signature: Buffer } | undefined {
  try {
    const { payload, signatures } = JSON.parse(String(envelope))
    const [{ keyid, sig }] = signatures
    if (typeof payload === 'string' && typeof keyid === 'string' && typeof sig === 'string')
      return { payload: Buffer.from(payload, 'base64'), keyId: keyid, signature: Buffer.from(sig, 'base64') }
  } catch {}
  return undefined
}

interface Statement {
  subject?: Array<{ digest?: { sha512?: string } }>
  predicate?: Predicate
}

function statementOf(payload: Buffer): Statement | undefined {
  try {
    return JSON.parse(String(payload)) as Statement
  } catch {
    return undefined
  }
}
