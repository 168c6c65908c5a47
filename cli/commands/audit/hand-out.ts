import { once } from 'node:events'
import { link, open, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { SaasctlError } from '../../../src/errors.js'
import { fileTrouble, writeNew } from '../../files.js'
import type { Session } from '../../session.js'

interface Out {
  out?: string
  to?: string
}

export async function checkpoint({ saasctl, print, progress }: Session, { out, to }: Out): Promise<void> {
  const [{ makeCheckpoint, readBody }, { checkFree, writeCheckpoint }, { keepInStore }] = await Promise.all([
    import('../../../src/audit/checkpoint.js'),
    import('../../../src/audit/checkpoint-file.js'),
    import('../../../src/audit/checkpoint-store.js')
  ])
  if (out !== undefined) await checkFree(out)
  const store = to === undefined ? undefined : await saasctl.stores.open(to)
  const row = await makeCheckpoint(saasctl)
  if (out !== undefined) await writeCheckpoint(saasctl.catalog, row, out)
  const kept = store && (await keepInStore(saasctl.catalog, row, store))
  const { number, at, keyId, body, signature } = row
  const shown = {
    number,
    at,
    chains: readBody(body)?.chains,
    root: readBody(body)?.root,
    keyId,
    file: out ?? null,
    kept: kept ?? null
  }
  print.one({ ...shown, body, signature: signature.toString('base64') }, shown)
  if (kept !== undefined) progress.next(`Verify against it: saasctl audit verify --checkpoint ${kept}`)
  else if (out === undefined)
    progress.next('Keep one where nobody who can write the catalog gets to: saasctl audit checkpoint --to s3://BUCKET')
}

export async function exportTrail(
  { saasctl, progress, print }: Session,
  { tenant, out, to }: Out & { tenant?: string }
): Promise<void> {
  const [trail, { chainOfTenant }] = await Promise.all([
    import('../../../src/audit/export.js'),
    import('../../../src/audit/show.js')
  ])
  const chain = tenant === undefined ? undefined : await chainOfTenant(saasctl.catalog, tenant)
  const lines = trail.exportTrail(saasctl.catalog, chain)
  if (to !== undefined) {
    const store = await saasctl.stores.open(to)
    const name = `trail-${new Date().toISOString().replace(/[-:.]/g, '').toLowerCase()}.ndjson`
    const { bytes } = await store.put(name, Readable.from(lines))
    return print.one({ store: store.url, object: name, bytes })
  }
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
