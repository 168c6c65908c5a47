import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, pipeline, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import { compressionFor, compressor, decompressor } from '../../src/archives/compress.js'
import { FRAME_BYTES, FrameOpener, FrameSealer } from '../../src/archives/frames.js'
import { type Manifest, openManifest, sealManifest } from '../../src/archives/manifest.js'
import { makeTenantKey, readTenantKey } from '../../src/archives/tenant-key.js'
import { writeArchive } from '../../src/archives/write.js'
import { FileKeyStore } from '../../src/secrets/file-keystore.js'
import { FileStore } from '../../src/stores/file.js'
import { scratch } from '../support/servers.js'

const key = randomBytes(32)
const sealedFrame = FRAME_BYTES + 16
const headerBytes = 40

const streamOf = (...parts: Buffer[]) => Readable.from(parts, { objectMode: false })

async function sealed(clear: Buffer, backup = 'one', parts = [clear]): Promise<{ bytes: Buffer; salt: Buffer }> {
  const sealer = new FrameSealer(key, backup)
  return { bytes: await buffer(streamOf(...parts).pipe(sealer)), salt: sealer.salt }
}

/** What comes out of the frames, or the code of what is wrong with them. Never a byte before an error that was not sealed so. */
async function opened(bytes: Buffer, salt: Buffer, backup = 'one', chunk = 70_001): Promise<Buffer | string> {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += chunk) parts.push(bytes.subarray(at, at + chunk))
  const opener = new FrameOpener(key, backup, salt)
  pipeline(streamOf(...parts), opener, () => {})
  return buffer(opener).catch(error => error.code ?? error.message)
}

await t.test('what was sealed is opened the same, whatever its length and however it comes', async t => {
  for (const length of [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES]) {
    const clear = randomBytes(length)
    const { bytes, salt } = await sealed(clear)
    t.equal(bytes.length, headerBytes + length + 16 * Math.max(1, Math.ceil(length / FRAME_BYTES)))
    for (const chunk of [1000, sealedFrame, bytes.length]) {
      const back = await opened(bytes, salt, 'one', chunk)
      t.ok(Buffer.isBuffer(back) && back.equals(clear), `${length} bytes in pieces of ${chunk}`)
    }
  }
  const clear = randomBytes(300_000)
  const { bytes, salt } = await sealed(
    clear,
    'one',
    Array.from({ length: 300 }, (_, n) => clear.subarray(n * 1000, n * 1000 + 1000))
  )
  t.ok(clear.equals((await opened(bytes, salt)) as Buffer))
})

await t.test('nothing of it can be read in the store, and the same twice is not the same', async t => {
  const clear = Buffer.alloc(FRAME_BYTES * 2, 'customer data ')
  const [first, second] = [await sealed(clear), await sealed(clear)]
  t.notOk(first.bytes.includes('customer'))
  t.notOk(first.bytes.equals(second.bytes))
  t.notOk(
    first.bytes
      .subarray(headerBytes, headerBytes + 1000)
      .equals(first.bytes.subarray(headerBytes + sealedFrame, headerBytes + sealedFrame + 1000)),
    'two frames of the same bytes differ'
  )
})

await t.test('frames that are missing, added, moved, changed or foreign are refused', async t => {
  const clear = randomBytes(4 * FRAME_BYTES)
  const { bytes, salt } = await sealed(clear)
  const header = bytes.subarray(0, headerBytes)
  const frame = (index: number, from = bytes) =>
    from.subarray(headerBytes + index * sealedFrame, headerBytes + (index + 1) * sealedFrame)
  const all = [0, 1, 2, 3].map(index => frame(index))
  const [a, b, c, d] = all as [Buffer, Buffer, Buffer, Buffer]
  const other = await sealed(clear)
  const flipped = (at: number) => {
    const copy = Buffer.from(bytes)
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
    return copy
  }
  const cases: Record<string, Buffer> = {
    'nothing at all': Buffer.of(),
    'a header alone': header,
    'the last frame cut off': Buffer.concat([header, a, b, c]),
    'the end of the last frame cut off': bytes.subarray(0, -1),
    'a frame left out': Buffer.concat([header, a, c, d]),
    'the first frame left out': Buffer.concat([header, b, c, d]),
    'two frames exchanged': Buffer.concat([header, b, a, c, d]),
    'a frame twice': Buffer.concat([header, a, a, b, c, d]),
    'the last frame twice': Buffer.concat([header, a, b, c, d, d]),
    'a byte added': Buffer.concat([bytes, Buffer.of(0)]),
    'a tag’s length added': Buffer.concat([bytes, Buffer.alloc(16)]),
    'a frame of another stream': Buffer.concat([header, a, frame(1, other.bytes), c, d]),
    'another stream whole': other.bytes,
    'another header': Buffer.concat([other.bytes.subarray(0, headerBytes), a, b, c, d]),
    'a bit of the header': flipped(3),
    'a bit of the salt': flipped(20),
    'a bit of a frame': flipped(headerBytes + 5),
    'a bit of a tag': flipped(bytes.length - 1)
  }
  for (const [what, changed] of Object.entries(cases)) t.equal(await opened(changed, salt), 'BACKUP_DAMAGED', what)
  t.equal(await opened(bytes, salt, 'two'), 'BACKUP_DAMAGED', 'the same bytes as another backup')
  const wrong = new FrameOpener(randomBytes(32), 'one', salt)
  pipeline(streamOf(bytes), wrong, () => {})
  t.equal(await buffer(wrong).catch(error => error.code), 'BACKUP_DAMAGED', 'with another key')
})

await t.test('any flipped bit and any cut is refused', async t => {
  const { bytes, salt } = await sealed(randomBytes(FRAME_BYTES + 999))
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
      const copy = Buffer.from(bytes)
      copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at)
      return (
        (await opened(copy, salt)) === 'BACKUP_DAMAGED' &&
        (await opened(bytes.subarray(0, at), salt)) === 'BACKUP_DAMAGED'
      )
    }),
    { numRuns: 100 }
  )
  t.pass('a hundred of each')
})

await t.test('what is compressed already is not compressed again, and comes back as it was', async t => {
  const script = Buffer.from('INSERT INTO notes VALUES (1);\n'.repeat(20_000))
  for (const [content, compressed] of [
    [script, false],
    [script, true],
    [Buffer.of(), false]
  ] as const) {
    const compression = compressionFor({ compressed })
    const small = pipeline(
      [streamOf(content), ...compressor(compression), new PassThrough()],
      () => {}
    ) as unknown as Readable
    const bytes = await buffer(small)
    t.ok(compressed ? bytes.equals(content) : content.length === 0 || bytes.length < content.length / 10)
    const back = await buffer(
      pipeline([streamOf(bytes), ...decompressor(compression), new PassThrough()], () => {}) as unknown as Readable
    )
    t.ok(back.equals(content))
  }
})

const folder = await mkdtemp(join(scratch, 'saasctl-archives.'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const keys = new FileKeyStore(join(folder, 'keys'))
const tenant = '0198c5d2-0000-7000-8000-000000000001'

await t.test('a manifest opens for its own backup alone, and shows nothing before', async t => {
  const mine = await makeTenantKey(keys, tenant)
  t.strictSame(await makeTenantKey(keys, tenant), mine)
  const manifest = {
    v: 1,
    backup: 'one',
    tenant: { slug: 'acme-corporation' },
    rows: { 'public.payroll': 3 }
  } as unknown as Manifest
  const sealedManifest = sealManifest(mine, manifest)
  t.notOk(/acme|payroll/.test(sealedManifest.toString('latin1')))
  t.strictSame(openManifest(mine, 'one', sealedManifest), manifest)
  const refused = { code: 'BACKUP_DAMAGED', message: /its manifest does not open\.$/ }
  t.throws(() => openManifest(mine, 'two', sealedManifest), refused)
  t.throws(() => openManifest(mine, 'one', sealedManifest.subarray(0, -1)), refused)
  t.throws(() => openManifest({ id: '', bytes: randomBytes(32) }, 'one', sealedManifest), refused)
  t.throws(() => openManifest(mine, 'one', Buffer.from('{}')), refused)
})

await t.test('a lost or exchanged key is said plainly, and no new one is made in its place', async t => {
  const { id } = await makeTenantKey(keys, tenant)
  t.equal((await readTenantKey(keys, tenant, id)).id, id)
  await t.rejects(readTenantKey(keys, tenant, '0000000000000000'), {
    code: 'KEY_WRONG',
    message: /are sealed with key 0{16}, the key store \(folder \S+\) holds [0-9a-f]{16}\.$/
  })
  await keys.destroy(`tenant/${tenant}`)
  await t.rejects(readTenantKey(keys, tenant, id), { code: 'KEY_MISSING', hint: /key restore/ })
  t.strictSame(await keys.list(), [])
})

await t.test('a dump that fails on the way leaves no object, and its error is the news', async t => {
  const store = new FileStore(join(folder, 'store'))
  const wish = {
    store,
    name: 'x.dump',
    key: { id: '', bytes: key },
    backup: 'one',
    compression: 'gzip' as const,
    signal: new AbortController().signal
  }
  for (const before of [0, 1, 30]) {
    const failure = new Error('pg_dump was killed')
    const content = Readable.from(
      (async function* () {
        for (let index = 0; index < before; index += 1) yield randomBytes(100_000)
        throw failure
      })(),
      { objectMode: false }
    )
    t.equal(await writeArchive(content, wish).catch(error => error), failure)
    for await (const { name } of store.list('')) t.fail(`${name} was left`)
  }
  const broken = new Readable({ read() {} })
  broken.on('error', () => {}).destroy(new Error('pg_dump was killed'))
  await t.rejects(writeArchive(broken, wish), { message: 'pg_dump was killed' }, 'also when it failed before')
  const told: number[] = []
  const made = await writeArchive(streamOf(randomBytes(1_000_000)), { ...wish, onBytes: bytes => told.push(bytes) })
  t.match(made, { name: 'x.dump', compression: 'gzip', sha256: /^[0-9a-f]{64}$/ })
  t.equal(told.at(-1), made.bytes)
  for await (const { bytes } of store.list('')) t.equal(bytes, made.bytes)
})
