import { createHash, generateKeyPairSync } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { rotateKey } from '../../src/audit/keys.js'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { operationById } from '../../src/catalog/operations.js'
import { asSaasctlError, SaasctlError } from '../../src/errors.js'
import { createExport, type ExportWish, mustFindExport } from '../../src/exports/create.js'
import { downloadExport } from '../../src/exports/download.js'
import { expireExports } from '../../src/exports/expire.js'
import { landStream, type Place } from '../../src/exports/target.js'
import { verifyExport } from '../../src/exports/verify.js'
import type { Saasctl } from '../../src/saasctl.js'
import { signingKeys } from '../../src/secrets/signing.js'
import { readWhole } from '../../src/stores/store.js'
import { createTenant } from '../../src/tenants/create.js'
import { startVerb } from '../support/child.js'
import { cli } from '../support/cli.js'
import { type ControlPlane, controlPlane } from '../support/control-plane.js'
import { startS3 } from '../support/s3-server.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (await skipWithoutPostgres(t)) process.exit()
const template = await tinyTemplate()
t.teardown(() => template.remove())
const plane = await controlPlane({ env: template.env })
t.teardown(() => plane.close())
await createTenant(plane.saasctl, { slug: 'acme' }, { template: 'tiny' }, { wait: true })

const usual: ExportWish = {
  formats: ['jsonl'],
  container: 'tar.gz',
  target: null,
  masked: false,
  certificate: null,
  reason: 'a test'
}
const make = (saasctl: Saasctl, more: Partial<ExportWish> = {}) =>
  createExport(saasctl, 'acme', { ...usual, ...more }, { wait: true })

await t.test('an export in the store can be fetched until its time is over, and its row stays', t => stored(t, plane))
await t.test('"export verify" needs no catalog, and exits with 8 and the file’s name', t => byCommand(t, plane))
await t.test('an export into a bucket is there whole, and never without its end', t => bucket(t, plane))
await t.test('what was taken over meanwhile puts nothing in its successor’s place', t => overtaken(t, plane))
await t.test('an auditor’s login asks, a worker makes it, and nothing else is allowed', t => auditor(t, plane))
await t.test('killed while it writes a file, another goes on, and no half of it stays', t => killed(t, plane))

async function stored(t: Test, { saasctl }: ControlPlane) {
  const { id } = await make(saasctl)
  const row = await mustFindExport(saasctl, id)
  t.match(row, { status: 'ready', slug: 'acme', rowCount: 1, expiresAt: Date, reason: 'a test' })
  const file = join(saasctl.config.home, 'fetched.tar.gz')
  const got = await downloadExport(saasctl, id, file)
  t.equal(got.sha512, row.sha512)
  t.match(await verifyExport(file), { intact: true, says: { export: id } })
  t.notOk(
    (await readdir(saasctl.config.home)).some(name => name.startsWith('.fetched')),
    'and nothing beside it'
  )
  t.match(
    await downloadExport(saasctl, id, file).catch(asSaasctlError),
    { code: 'INVALID_INPUT' },
    'nothing is written over'
  )
  const object = join(new URL(row.store ?? '').pathname, row.object ?? '')
  const whole = await readFile(object)
  await writeFile(object, whole.subarray(1))
  t.match(await downloadExport(saasctl, id, `${file}.1`).catch(asSaasctlError), { code: 'CHECK_FOUND' })
  t.notOk(
    (await readdir(saasctl.config.home)).some(name => name.includes('fetched.tar.gz.')),
    'and what is not what was made is handed to nobody'
  )
  await writeFile(object, whole)
  t.equal(await expireExports(saasctl), 0, 'not before its time')
  await saasctl.catalog.query('update saasctl.export set expires_at = now() where id = $1', [id])
  t.equal(await expireExports(saasctl), 1)
  t.equal(await expireExports(saasctl), 0, 'a second time is OK')
  t.match(await mustFindExport(saasctl, id), { status: 'expired' })
  t.match(await downloadExport(saasctl, id, `${file}.2`).catch(asSaasctlError), { code: 'EXPORT_NOT_FOUND' })
  const events = await saasctl.catalog.query<{ action: string }>(
    `select action from saasctl.audit_event where action like 'export.%' order by seq`
  )
  t.strictSame(
    events.map(({ action }) => action),
    ['export.ask', 'export.create', 'export.download', 'export.download', 'export.expire']
  )
  t.match(await mustFindExport(saasctl, 'nonsense').catch(asSaasctlError), { code: 'EXPORT_NOT_FOUND' })
}

async function byCommand(t: Test, { saasctl }: ControlPlane) {
  const { run, folder } = await cli(t)
  t.teardown(() => run(['dev', 'stop']))
  const file = join(saasctl.config.home, 'fetched.tar.gz')
  const key = join(folder, 'audit.pem')
  const [mine] = await signingKeys(saasctl.keys)
  await writeFile(key, mine?.publicKey ?? '')
  const unknown = await run(['export', 'verify', file])
  t.match(unknown, { code: 0, stdout: /intact, signer unknown/, stderr: '' })
  t.match(await run(['export', 'verify', file, '--key', key]), { code: 0, stdout: /intact, signed with the key/ })
  const { publicKey: present } = await rotateKey(saasctl)
  await writeFile(key, present)
  t.match(await run(['export', 'verify', file, '--key', key]), { code: 8, stderr: /is not of the key that was given/ })
  const all = (await signingKeys(saasctl.keys)).toReversed()
  t.match(all, [{ publicKey: present, until: null }, { until: Date }])
  await writeFile(key, all.map(one => one.publicKey).join('of which this is retired\n'))
  const retired = await run(['export', 'verify', file, '--key', key])
  t.match(
    retired,
    { code: 0, stdout: /intact, signed with the key/ },
    'a retired key signed it when it was the present one'
  )
  const { publicKey } = generateKeyPairSync('ed25519')
  await writeFile(key, publicKey.export({ type: 'spki', format: 'pem' }))
  const other = await run(['export', 'verify', file, '--key', key, '-o', 'json'])
  t.match(other, { code: 8, stderr: /attestation\.sig/ })
  t.match(JSON.parse(other.stdout), { intact: false, signer: 'wrong' })
  const copy = join(folder, 'changed.tar.gz')
  await writeFile(copy, Buffer.concat([await readFile(file), Buffer.from('x')]))
  t.match(await run(['export', 'verify', copy]), { code: 8, stderr: /changed\.tar\.gz/ })
  t.match(await run(['export', 'verify', '/nowhere']), { code: 2, stderr: /no file or folder \/nowhere\./ })
  t.match(await run(['export', 'verify', file, '--key', file]), { code: 2, stderr: /Ed25519/ })
  t.strictSame((await readdir(folder)).sort(), ['audit.pem', 'changed.tar.gz'], 'no catalog was made for it')
  t.match(await run(['export', 'create', 'acme', '--format', 'xml']), { code: 2, stderr: /jsonl, csv/ })
  t.match(await run(['export', 'create', 'acme', '--out', 'acme.rar', '--reason', 'x']), { code: 2, stderr: /ending/ })
}

async function bucket(t: Test, plane: ControlPlane) {
  const s3 = await startS3()
  t.teardown(() => s3.close())
  const saasctl = await plane.another({ ...s3.env(), SAASCTL_STORE: `s3://${s3.bucket}/exports` })
  const { id } = await make(saasctl)
  const file = join(saasctl.config.home, 'from-s3.tar.gz')
  await downloadExport(saasctl, id, file)
  t.match(await verifyExport(file), { intact: true })
  const named = await make(saasctl, { target: `s3://${s3.bucket}/elsewhere/acme.zip`, container: 'zip' })
  t.match(await mustFindExport(saasctl, named.id), { status: 'ready', object: 'acme.zip', expiresAt: null })
  const target = `s3://${s3.bucket}/elsewhere/acme.zip`
  const again = await make(saasctl, { target, container: 'zip' }).catch(asSaasctlError)
  t.match(again, { code: 'INVALID_INPUT', message: /acme\.zip is there already/ }, 'nothing is written over')
  t.strictSame(await s3.uploads(), [])
  await s3.close()
  const error = await createExport(saasctl, 'acme', usual, { wait: true, timeoutMs: 500 }).catch(asSaasctlError)
  t.match(error, { code: /STORE_UNREACHABLE|STILL_RUNNING/ })
}

async function overtaken(t: Test, { saasctl }: ControlPlane) {
  const place: Place = { kind: 'store', url: pathToFileURL(t.testdir()).href, object: 'exports/acme.zip' }
  const land = (text: string, confirm: (sha512: string) => Promise<void>) =>
    landStream(saasctl.stores, place, 'id', Readable.from([Buffer.from(text)]), confirm)
  const { sha512 } = await land('successor', async () => {})
  const fenced = async () => {
    throw new SaasctlError('FENCED', 'Another process took it over.')
  }
  t.match(await land('overtaken', fenced).catch(asSaasctlError), { code: 'FENCED' })
  const store = await saasctl.stores.open(place.url ?? '')
  const kept = await readWhole(store, place.object)
  t.equal(kept.toString(), 'successor')
  t.equal(createHash('sha512').update(kept).digest('hex'), sha512)
}

async function auditor(t: Test, plane: ControlPlane) {
  const { url } = await createCatalogLogin(plane.adminUrl, 'auditor', { name: 'tester', proof: 'asserted' })
  const saasctl = await plane.another({ SAASCTL_CATALOG_URL: url, SAASCTL_OPERATOR: 'ann' })
  const { id, operationId, operation } = await make(saasctl, { reason: 'audit 2026' })
  t.equal(operation, undefined, 'it did not make it itself')
  t.match(await mustFindExport(saasctl, id), { status: 'making', actor: { name: 'ann', proof: 'asserted' } })
  await plane.saasctl.operations.wake(operationId)
  const row = await mustFindExport(saasctl, id)
  t.match(row, { status: 'ready', reason: 'audit 2026' })
  t.match(await verifyExport(join(new URL(row.store ?? '').pathname, row.object ?? '')), {
    intact: true,
    says: { asked: { by: 'ann', proof: 'asserted', reason: 'audit 2026' } }
  })
  const nobody = await createExport(saasctl, 'nobody', usual, { wait: true }).catch(asSaasctlError)
  t.match(nobody, { code: 'TENANT_NOT_FOUND' })
  const out = await make(saasctl, { target: 'file:///tmp/x.tar.gz' }).catch(asSaasctlError)
  t.match(out, { code: 'NOT_ALLOWED' }, 'not to a place of its own choice')
  for (const sql of [
    `update saasctl.export set expires_at = null`,
    `delete from saasctl.export`,
    `insert into saasctl.operation select * from saasctl.operation`,
    `update saasctl.tenant set slug = 'x'`
  ]) {
    t.match(await saasctl.catalog.query(sql).catch(asSaasctlError), { code: 'CATALOG_DENIED' }, sql)
  }
}

async function killed(t: Test, plane: ControlPlane) {
  const folder = plane.saasctl.config.home
  const target = `file://${join(folder, 'killed.tar.gz')}`
  for (const moment of ['begun', 'acted']) {
    const child = startVerb(plane.env, 'export', { slug: 'acme', out: target }, `export.create/write the bag:${moment}`)
    await child.ended
    const operation = child.said.at(-1)?.progress?.operation ?? ''
    const left = await operationById(plane.saasctl.catalog, operation)
    if (left) await plane.saasctl.operations.follow(left)
    t.match(await verifyExport(join(folder, 'killed.tar.gz')), { intact: true }, moment)
    t.strictSame(
      (await readdir(folder)).filter(name => name.startsWith('.killed')),
      []
    )
    await rm(join(folder, 'killed.tar.gz'))
  }
  t.ok((await readFile(join(folder, 'fetched.tar.gz'))).length > 0, 'what is not ours is left alone')
}
