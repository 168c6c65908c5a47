import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import t from 'tap'
import { FileStore } from '../../src/stores/file.js'
import { readWhole } from '../../src/stores/store.js'
import { scratch } from '../support/servers.js'
import { hasOwnMounts } from '../support/small-disk.js'

const run = promisify(execFile)

if (hasOwnMounts(t, import.meta.url)) {
  const folder = await mkdtemp(join(scratch, 'saasctl-store.'))
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder])
  t.teardown(async () => {
    await run('umount', ['--lazy', folder])
    await rm(folder, { recursive: true, force: true })
  })
  const store = new FileStore(folder)
  const bytes = (count: number) => Readable.from([Buffer.alloc(count, 1)])

  await t.test('a full store says so, keeps what it had, and nothing half-written', async t => {
    await store.put('tenant/first', bytes(500_000))
    const content = Readable.from(Array.from({ length: 40 }, () => Buffer.alloc(100_000, 1)))
    await t.rejects(store.put('tenant/second', content), {
      code: 'STORE_FULL',
      message: /^The store file:\S+ has no room left for tenant\/second\.$/
    })
    t.strictSame(await readdir(join(folder, 'tenant')), ['first'])
    await store.put('tenant/third', bytes(500_000))
    t.strictSame((await readdir(join(folder, 'tenant'))).sort(), ['first', 'third'])
  })

  await t.test('a store on a disk that became read-only says so, and what it had can be read', async t => {
    await run('mount', ['-o', 'remount,ro', folder])
    const refused = { code: 'STORE_REFUSED', message: /could not be used for .* \(E\w+\)/, hint: /read-only/ }
    for (const name of ['tenant/fourth', 'another/one']) await t.rejects(store.put(name, bytes(1)), refused)
    await t.rejects(store.remove('tenant/first'), refused)
    t.equal((await readWhole(store, 'tenant/first')).length, 500_000)
  })
}
