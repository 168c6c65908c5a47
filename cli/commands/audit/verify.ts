import { readFile } from 'node:fs/promises'
import type { CheckpointFile } from '../../../src/audit/checkpoint-file.js'
import type { TrustedKey } from '../../../src/audit/verify/keys.js'
import type { Verified } from '../../../src/audit/verify/verify.js'
import { SaasctlError } from '../../../src/errors.js'
import type { KeyStore } from '../../../src/secrets/keystore.js'
import type { Stores } from '../../../src/stores/store.js'
import { fileTrouble } from '../../files.js'
import { minute } from '../../print.js'
import type { Session } from '../../session.js'
import { plural } from '../../text.js'

interface Options {
  tenant?: string
  checkpoint?: string
  key?: string[]
}

export async function verify(session: Session, options: Options, file?: string): Promise<void> {
  const { saasctl, print, progress } = session
  if (file !== undefined && options.tenant !== undefined)
    throw new SaasctlError('USAGE', 'A file is verified whole.', { hint: 'Leave --tenant out.' })
  const keys = await trusted(saasctl.keys, options.key)
  const kept = options.checkpoint === undefined ? undefined : await keptAt(saasctl.stores, options.checkpoint)
  const verified = file === undefined ? await ofCatalog(session, options, keys, kept) : await ofFile(file, keys, kept)
  progress.clear()
  print.told(print.forPrograms ? [verified] : [], () => [])
  if (!print.forPrograms) print.told(verified.findings, ({ code, message }) => [`error    ${message} [${code}]`])
  for (const sentence of sentences(verified)) progress.notice(sentence)
  const [first] = verified.findings
  if (first) {
    throw new SaasctlError('CHECK_FOUND', `The audit trail was changed. First: ${first.message}`, {
      hint: 'Compare with a backup of the catalog and with checkpoints kept elsewhere.',
      data: { place: first.place, code: first.code }
    })
  }
}

async function keptAt(stores: Stores, place: string): Promise<CheckpointFile> {
  const { fetchCheckpoint, isInStore } = await import('../../../src/audit/checkpoint-store.js')
  if (isInStore(place)) return fetchCheckpoint(stores, place)
  const { readCheckpoint } = await import('../../../src/audit/checkpoint-file.js')
  return readCheckpoint(place)
}

async function ofCatalog(
  { saasctl }: Session,
  { tenant }: Options,
  keys: TrustedKey[],
  kept: CheckpointFile | undefined
): Promise<Verified> {
  const [{ verifyTrail }, { chainOfTenant }] = await Promise.all([
    import('../../../src/audit/verify/verify.js'),
    import('../../../src/audit/show.js')
  ])
  const chain = tenant === undefined ? undefined : await chainOfTenant(saasctl.catalog, tenant)
  return verifyTrail(saasctl.catalog, { keys, kept, chain })
}

async function ofFile(file: string, keys: TrustedKey[], kept: CheckpointFile | undefined): Promise<Verified> {
  const { verifyFile } = await import('../../../src/audit/verify/verify-file.js')
  return verifyFile(file, { keys, kept })
}

/** Those of the files; else this machine's own, if it has any. */
async function trusted(keys: KeyStore, files: string[] | undefined): Promise<TrustedKey[]> {
  const [{ ownKeys }, { readPublicKeys }] = await Promise.all([
    import('../../../src/audit/verify/keys.js'),
    import('../../../src/secrets/signing.js')
  ])
  if (files === undefined) return ownKeys(keys)
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8').catch(fileTrouble)))
  return texts.flatMap(readPublicKeys)
}

function sentences({ findings, events, chains, upTo, unsigned, signer }: Verified): string[] {
  const whole = findings.length === 0 ? 'and every chain is whole' : 'and not all of it is as it was written'
  const claim = upTo
    ? `Up to checkpoint ${upTo.number} of ${minute(upTo.at)}, signed with key ${upTo.keyId}, nothing was changed.`
    : 'No checkpoint proves it: whoever owns the catalog could have written all of it anew.'
  const who =
    upTo && signer === 'unknown'
      ? ['The signer is unknown: give the public key with --key to know whose signature it is.']
      : []
  const rest =
    upTo && findings.length === 0 && unsigned > 0
      ? [`${plural(unsigned, 'event')} after it are chained and not signed yet.`]
      : []
  return [`Read ${plural(events, 'event')} of ${plural(chains, 'chain')}, ${whole}.`, claim, ...who, ...rest]
}
