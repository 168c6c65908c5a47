import { once } from 'node:events'
import { mkdtemp, readdir, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.js'
import { FileStore } from '../../src/stores/file.js'
import { openStore, parseStore } from '../../src/stores/open.js'
import { holds, objectName, readWhole, type Store } from '../../src/stores/store.js'
import { eventually } from '../support/eventually.js'
import { proxyTo } from '../support/proxy.js'
import { type S3Server, startS3 } from '../support/s3-server.js'
import { scratch } from '../support/servers.js'

const warnings: Error[] = []
process.on('warning', warning => warnings.push(warning))
const s3 = await startS3()
t.teardown(() => s3.close())

function accessTo(server: S3Server, port = server.port) {
  const config = loadConfig({ env: server.env(port) })
  const { s3Endpoint: endpoint, s3Region: region, s3AccessKey: accessKey } = config
  return { endpoint, region, accessKey, secretKey: config.s3SecretKey, sessionToken: null }
}

async function folder(t: Test): Promise<string> {
  const made = await mkdtemp(join(scratch, 'saasctl-store.'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return made
}

let prefixes = 0
const makers: Record<string, (t: Test) => Promise<Store>> = {
  'a folder': async t => openStore(pathToFileURL(join(await folder(t), 'deep', 'store')).href, accessTo(s3)),
  'a bucket': async () => openStore(`s3://${s3.bucket}/under/no-${prefixes++}`, accessTo(s3))
}

async function names(store: Store, prefix = ''): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list(prefix)) found.push(name)
  return found
}

const MEBIBYTE = 2 ** 20
/** So many mebibytes, piece by piece, each of its own bytes; then it fails, if it is told to. */
async function* pieces(count: number, failure?: Error) {
  for (let index = 0; index < count; index += 1) yield Buffer.alloc(MEBIBYTE, index + 1)
  if (failure) throw failure
}

for (const [kind, make] of Object.entries(makers)) {
  await t.test(kind, async t => {
    await t.test('gives back what it was given, whole and in parts', async t => {
      const store = await make(t)
      for (const [name, count] of [
        ['empty', 0],
        ['a/small', 1],
        ['a/large.dump', 21]
      ] as const) {
        const content = Readable.from(pieces(count), { objectMode: false })
        t.strictSame(await store.put(name, content), { bytes: count * MEBIBYTE })
        const back = await buffer(await store.get(name))
        t.ok(back.equals(await buffer(pieces(count))), name)
      }
      const middle = { start: 3 * MEBIBYTE - 1, end: 3 * MEBIBYTE }
      t.strictSame([...(await buffer(await store.get('a/large.dump', middle)))], [3, 4])
      t.equal((await buffer(await store.get('a/large.dump', { start: 20 * MEBIBYTE }))).length, MEBIBYTE)
    })

    await t.test('lists in the order of names, by folder, with sizes', async t => {
      const store = await make(t)
      t.strictSame(await names(store), [], 'nothing, before anything was put')
      for (const name of ['b/2', 'a/1', 'b/1', 'ab/1']) await store.put(name, Readable.from([Buffer.from(name)]))
      t.strictSame(await names(store), ['a/1', 'ab/1', 'b/1', 'b/2'])
      t.strictSame(await names(store, 'a/'), ['a/1'])
      t.strictSame(await names(store, 'nowhere/'), [])
      for await (const object of store.list('a/')) {
        t.equal(object.bytes, 3)
        t.ok(Math.abs(object.at.getTime() - Date.now()) < 600_000, 'with when it was put')
      }
    })

    await t.test('an object that is put again is the new one; removing twice is OK', async t => {
      const store = await make(t)
      for (const text of ['old', 'new']) await store.put('one', Readable.from([Buffer.from(text)]))
      t.equal((await readWhole(store, 'one')).toString(), 'new')
      await store.remove('one')
      await store.remove('one')
      await store.remove('folder/that/never/was')
      t.strictSame(await names(store), [])
      await t.rejects(store.get('one'), { code: 'STORE_MISSING', message: /has no one\.$/ })
    })

    await t.test('what fails on its way is passed on as it is, and nothing of it stays', async t => {
      const store = await make(t)
      for (const count of [0, 1, 12]) {
        const failure = new Error('pg_dump was killed')
        const content = Readable.from(pieces(count, failure), { objectMode: false })
        t.equal(await store.put('half', content).catch(error => error), failure)
        t.strictSame(await names(store), [])
      }
      t.equal(await store.sweep('', new Date(Date.now() + 60_000)), 0, 'nothing was left to sweep')
    })

    await t.test('a put that is aborted ends at once, and nothing of it stays', async t => {
      const store = await make(t)
      const stop = new AbortController()
      const endless = new PassThrough()
      for (let index = 0; index < 9; index += 1) endless.write(Buffer.alloc(MEBIBYTE))
      endless.once('drain', () => stop.abort(new Error('enough')))
      await t.rejects(store.put('half', endless, { signal: stop.signal }), { message: 'enough' })
      t.ok(endless.destroyed, 'its source is closed')
      t.strictSame(await names(store), [])
      t.equal(await store.sweep('', new Date(Date.now() + 60_000)), 0)
    })

    await t.test('no name leads out of it', async t => {
      const store = await make(t)
      for (const name of [
        '',
        '..',
        '../up',
        'a/../../up',
        '/etc/passwd',
        'a//b',
        'a/',
        '.hidden',
        'a/.hidden',
        'a\\b',
        'a\0'
      ]) {
        await t.rejects(store.put(name, Readable.from([])), { code: 'INVALID_INPUT' }, JSON.stringify(name))
        await t.rejects(store.get(name), { code: 'INVALID_INPUT' })
        await t.rejects(store.remove(name), { code: 'INVALID_INPUT' })
      }
      for (const prefix of ['../', '/', '..', 'a', 'a/../']) {
        await t.rejects(names(store, prefix), { code: 'INVALID_INPUT' }, JSON.stringify(prefix))
        await t.rejects(store.sweep(prefix, new Date()), { code: 'INVALID_INPUT' })
      }
      t.equal(objectName('backups/0190/a_b-c.d.dump'), 'backups/0190/a_b-c.d.dump')
    })
  })
}

await t.test('a folder is for its owner alone, and a link in it leads nowhere', async t => {
  const above = await folder(t)
  const store = new FileStore(join(above, 'store'))
  await store.put('a/b', Readable.from([Buffer.from('x')]))
  const mode = async (path: string) => (await stat(join(above, path))).mode & 0o777
  t.strictSame([await mode('store'), await mode('store/a'), await mode('store/a/b')], [0o700, 0o700, 0o600])
  await writeFile(join(above, 'outside'), 'x')
  await symlink(join(above, 'outside'), join(above, 'store/link'))
  await t.rejects(store.get('link'), { code: 'STORE_REFUSED' })
})

await t.test('what a writer that was killed left in a folder is not listed, and is swept when it is old', async t => {
  const above = await folder(t)
  const store = new FileStore(above)
  await store.put('a/whole', Readable.from([Buffer.from('x')]))
  const half = join(above, 'a', '.dump.0123456789abcdef.half')
  await writeFile(half, 'half')
  t.strictSame(await names(store), ['a/whole'])
  const hour = 3_600_000
  t.equal(await store.sweep('', new Date(Date.now() - hour)), 0, 'it may be at work still')
  await utimes(half, new Date(0), new Date(0))
  t.equal(await store.sweep('', new Date(Date.now() - hour)), 1)
  t.strictSame(await readdir(join(above, 'a')), ['whole'])
})

await t.test('a store whose network goes away in the middle says so, and what was begun is swept later', async t => {
  const proxy = await proxyTo({ host: '127.0.0.1', port: s3.port })
  t.teardown(() => proxy.close())
  const url = `s3://${s3.bucket}/cut`
  const store = await openStore(url, accessTo(s3, proxy.port))
  const content = Readable.from(
    (async function* () {
      yield* pieces(17)
      while ((await s3.uploads()).length === 0) await new Promise(resolve => setTimeout(resolve, 10))
      proxy.mode = 'closed'
      proxy.cut()
      yield* pieces(17)
    })(),
    { objectMode: false }
  )
  const error = await store.put('half', content).catch(error => error)
  t.match(error, { code: 'STORE_UNREACHABLE', retryable: true, message: /does not answer \(\w+\)\.$/ })
  t.ok(content.destroyed, 'the source is closed, so that nobody waits for it')
  await t.rejects(store.get('half'), { code: 'STORE_UNREACHABLE' })
  await t.rejects(names(store), { code: 'STORE_UNREACHABLE' })
  const again = await openStore(url, accessTo(s3))
  t.strictSame(await names(again), [], 'it is listed nowhere')
  t.equal((await s3.uploads()).length, 1)
  t.equal(await again.sweep('', new Date(Date.now() - 60_000)), 0)
  t.equal(await again.sweep('', new Date(Date.now() + 60_000)), 1)
  t.strictSame(await s3.uploads(), [])
})

await t.test('a bucket that is not there, or is somebody else’s, is refused in one sentence', async t => {
  const store = await openStore('s3://no-such-bucket', accessTo(s3))
  const refused = { code: 'STORE_REFUSED', message: /^The store s3:\/\/no-such-bucket refused \w+ \(NoSuchBucket\)\.$/ }
  await t.rejects(store.put('one', Readable.from([Buffer.from('x')])), refused)
  const nowhere = await openStore('s3://no-such-bucket', { ...accessTo(s3), endpoint: null, region: null })
  await t.rejects(names(nowhere), { code: 'STORE_REFUSED', message: /no region/, hint: /AWS_REGION/ })
  const wrong = { ...accessTo(s3), accessKey: 'SOMEBODY' }
  await t.rejects((await openStore(`s3://${s3.bucket}`, wrong)).get('one'), { code: 'STORE_REFUSED' })
})

await t.test('what the library plans for Node is told to nobody', async t => {
  t.strictSame(
    warnings.filter(({ message }) => message.includes('AWS')),
    []
  )
  t.notOk(
    Object.keys(process.env).some(name => name.startsWith('AWS_SDK_JS')),
    'and others are left as they were'
  )
})

await t.test('reading stops when its reader does, without an error nobody catches', async t => {
  for (const make of Object.values(makers)) {
    const store = await make(t)
    await store.put('large', Readable.from(pieces(9), { objectMode: false }))
    const stream = await store.get('large')
    await once(stream, 'readable')
    stream.destroy()
    await once(stream, 'close')
    await t.rejects(readWhole(store, 'large', MEBIBYTE), { code: 'STORE_REFUSED' }, 'and too much is not taken in')
  }
})

await t.test('whoever is not read at all lets go of its file', async t => {
  const path = await folder(t)
  const store = new FileStore(path)
  await store.put('one', Readable.from([Buffer.from('x')]))
  t.equal(await holds(store, 'one'), true)
  t.equal(await holds(store, 'two'), false)
  const stream = await store.get('one')
  stream.destroy()
  const open = async () => {
    const links = (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
    return (await Promise.all(links)).filter(link => link.startsWith(path))
  }
  t.strictSame(await eventually(open, paths => paths.length === 0), [])
})

await t.test('an address is a folder or a bucket, with no secret in it', async t => {
  t.strictSame(parseStore('file:///srv/my%20backups'), { scheme: 'file', bucket: '', path: '/srv/my backups' })
  t.strictSame(parseStore('s3://acme-backups'), { scheme: 's3', bucket: 'acme-backups', path: '' })
  t.strictSame(parseStore('s3://acme-backups/a/b/'), { scheme: 's3', bucket: 'acme-backups', path: 'a/b' })
  for (const bad of [
    '',
    '/srv',
    'file://host/srv',
    'file:///',
    'http://a/b',
    's3://',
    's3://A_B',
    's3://key:word@bucket',
    's3://bucket/a?b',
    's3://bucket/a//b',
    's3://bucket/..%2f'
  ]) {
    t.throws(() => parseStore(bad), { code: 'CONFIG_INVALID', message: /is not a store\.$/ }, bad)
  }
})
