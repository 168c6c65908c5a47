import { readFile } from 'node:fs/promises'
import type { CheckpointFile } from '../../../src/audit/checkpoint-file.js'
import type { TrustedKey } from '../../../src/audit/verify/keys.js'
import type { Verified } from '../../../src/audit/verify/verify.js'
import { SaasctlError } from '../../../src/errors.js'
import type { KeyStore } from '../../../src/secrets/keystore.js'
import type { Stores } from '../../../src/stores/store.js'
import { fileTrouble } from '../../files.js'
import { minute } from '../../print.js'
import type { Desk, Session } from '../../session.js'
import { plural } from '../../text.js'

interface Options {
  tenant?: string
  checkpoint?: string
  key?: string[]
}

export async function verify(session: Session, options: Options): Promise<void> {
  const { keys, kept } = await against(session.saasctl, options)
  tell(session, await ofCatalog(session, options, keys, kept))
}

/** An exported trail, on whosever machine: no catalog is opened for it, and none is made. */
export async function verifyFile(desk: Desk, options: Options, file: string): Promise<void> {
  if (options.tenant !== undefined)
    throw new SaasctlError('USAGE', 'A file is verified whole.', { hint: 'Leave --tenant out.' })
  const { keyStore, stores } = await import('../../../src/way-in.js')
  const config = desk.config()
  const known = await against({ keys: keyStore(config), stores: stores(config) }, options)
  const { verifyFile } = await import('../../../src/audit/verify/verify-file.js')
  tell(desk, await verifyFile(file, known))
}

/** Whose signatures count, and the checkpoint that was kept elsewhere. */
async function against({ keys, stores }: { keys: KeyStore; stores: Stores }, { key, checkpoint }: Options) {
  const kept = checkpoint === undefined ? undefined : await keptAt(stores, checkpoint)
  return { keys: await trusted(keys, key), kept }
}

/** CHECK_FOUND names the first thing that is wrong. */
function tell({ print, progress }: Desk, verified: Verified): void {
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
