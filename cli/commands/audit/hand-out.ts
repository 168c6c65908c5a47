import { once } from 'node:events'
import { link, open, rm } from 'node:fs/promises'
import { SaasctlError } from '../../../src/errors.js'
import { fileTrouble, writeNew } from '../../files.js'
import type { Session } from '../../session.js'

interface Out {
  out?: string
}

export async function checkpoint({ saasctl, print, progress }: Session, { out }: Out): Promise<void> {
  const [{ makeCheckpoint, readBody }, { checkFree, writeCheckpoint }] = await Promise.all([
    import('../../../src/audit/checkpoint.js'),
    import('../../../src/audit/checkpoint-file.js')
  ])
  if (out !== undefined) await checkFree(out)
  const row = await makeCheckpoint(saasctl)
  if (out !== undefined) await writeCheckpoint(saasctl.catalog, row, out)
  const { number, at, keyId, body, signature } = row
  const shown = { number, at, chains: readBody(body)?.chains, root: readBody(body)?.root, keyId, file: out ?? null }
  print.one({ ...shown, body, signature: signature.toString('base64') }, shown)
  if (out === undefined)
    progress.next('Keep one where nobody who can write the catalog gets to: audit checkpoint --out FILE')
}

export async function exportTrail(
  { saasctl, progress }: Session,
  { tenant, out }: Out & { tenant?: string }
): Promise<void> {
  const [trail, { chainOfTenant }] = await Promise.all([
    import('../../../src/audit/export.js'),
    import('../../../src/audit/show.js')
  ])
  const chain = tenant === undefined ? undefined : await chainOfTenant(saasctl.catalog, tenant)
  const lines = trail.exportTrail(saasctl.catalog, chain)
  if (out !== undefined)
    return writeLines(lines, out, () => progress.next(`Verify it anywhere: saasctl audit verify ${out}`))
  for await (const text of lines) if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

/** Under its name only when it is whole. */
async function writeLines(lines: AsyncIterable<string>, file: string, written: () => void): Promise<void> {
  const part = `${file}.part`
  const place = await open(part, 'wx', 0o600).catch(fileTrouble)
  try {
    for await (const text of lines) await place.write(text)
    await place.sync()
    await link(part, file).catch(fileTrouble)
  } finally {
    await place.close()
    await rm(part)
  }
  written()
}

export async function key(
  { saasctl, print, progress }: Session,
  { rotate = false }: { rotate?: boolean }
): Promise<void> {
  const { signer, signingKeys } = await import('../../../src/secrets/signing.js')
  if (rotate) {
    const { rotateKey } = await import('../../../src/audit/keys.js')
    const { keyId } = await rotateKey(saasctl)
    progress.notice(`Key ${keyId} signs from now on; back up the keys: saasctl key backup FILE`)
  } else if (mayMake(saasctl.caller)) await signer(saasctl.keys)
  const keys = (await signingKeys(saasctl.keys)).toReversed()
  if (keys.length === 0) {
    throw new SaasctlError('KEY_MISSING', `There is no signing key here (${saasctl.keys.describe()}).`, {
      hint: 'Get the public keys from whoever runs the control plane: saasctl audit key > signing.pem'
    })
  }
  const text = keys.map(({ keyId, publicKey, from, until }) => {
    return `key ${keyId}, from ${from.toISOString()}${until ? ` until ${until.toISOString()}` : ''}\n${publicKey}`
  })
  if (print.forPrograms) print.list(keys, [])
  else print.text(text.join(''), {})
}

/** A key that an auditor's machine made would be nobody's. */
function mayMake({ role }: Session['saasctl']['caller']): boolean {
  return role === 'owner' || role === 'admin' || role === 'operator'
}

export async function certificate({ saasctl, print }: Session, { out }: Out, tenant: string): Promise<void> {
  const { findCertificate } = await import('../../../src/audit/certificate.js')
  const { body, signature, keyId } = await findCertificate(saasctl.catalog, tenant)
  if (out !== undefined) {
    await writeNew(`${out}.sig`, async () => signature)
    await writeNew(out, async () => body)
  }
  print.text(body, { body, signature: signature.toString('base64'), keyId })
}
