import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { Secret } from '../../src/secret.js'
import { EnvKeyStore } from '../../src/secrets/env-keystore.js'
import { FileKeyStore } from '../../src/secrets/file-keystore.js'
import { backupKeys, restoreKeys } from '../../src/secrets/key-backup.js'

const TENANT = 'tenant/018f6b1c-7d3a-7a10-9c1e-0a4b5c6d7e8f'
const passphrase = new Secret('correct horse battery é')

async function emptyStore(t: Test): Promise<FileKeyStore> {
  const made = await mkdtemp(join(tmpdir(), 'keys-'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return new FileKeyStore(join(made, 'keys'))
}

async function filledStore(t: Test): Promise<FileKeyStore> {
  const keystore = await emptyStore(t)
  for (const name of ['control', 'routing', TENANT]) await keystore.ensure(name)
  return keystore
}

/** scrypt takes a good part of a second, so the tests share one backup. */
const source = await filledStore(t)
const text = await backupKeys(source, passphrase)

t.test('a key backup opens with its passphrase only', async t => {
  const restored = await restoreKeys(text, passphrase)
  t.same(restored.names, ['control', 'routing', TENANT])
  const other = await emptyStore(t)
  await restored.writeInto(other)
  for (const name of restored.names) t.same(await other.read(name), await source.read(name))

  await t.rejects(restoreKeys(text, new Secret('correct horse battery e')), {
    code: 'KEY_WRONG',
    message: 'The key backup does not open: the passphrase is wrong, or the file was changed.'
  })
  const typedElsewhere = new Secret('correct horse battery e\u0301')
  t.same(
    (await restoreKeys(text, typedElsewhere)).names,
    restored.names,
    'the same letters of another keyboard open it'
  )
  t.same((await restoreKeys(text.trim().replaceAll('\n', '\r\n'), passphrase)).names, restored.names, 'mailed is OK')
})

t.test('a key backup shows no key, and nor does an opened one', async t => {
  const restored = await restoreKeys(text, passphrase)
  const seen = text + inspect(restored, { depth: 9, showHidden: true }) + JSON.stringify(restored)
  for (const name of await source.list()) {
    const key = await source.read(name)
    t.notOk(seen.includes(key.toString('base64')))
    t.notOk(seen.includes(inspect(key).slice(8, 30)))
  }
  t.ok(
    text.split('\n').every(line => line.length <= 80 && /^[\x20-\x7e]*$/.test(line)),
    'it survives mail and paper'
  )
})

t.test('a changed key backup does not open, header included', async t => {
  const changed = [
    text.replace(/^made 2/m, 'made 3'),
    text.replace('r=8', 'r=4'),
    text.replace(/salt=./, found => (found.endsWith('A') ? 'salt=B' : 'salt=A')),
    text.replace(/\n\n(.{30})(.)/, (_, start, last) => `\n\n${start}${last === 'A' ? 'B' : 'A'}`),
    text.replace(/\n.*\n$/, '\n')
  ]
  for (const other of changed) {
    t.not(other, text)
    await t.rejects(restoreKeys(other, passphrase), { code: 'KEY_WRONG' })
  }
})

t.test('a file that is no key backup, or that would take the machine’s memory, is refused', async t => {
  const refused = [
    '',
    'hello',
    text.replace('backup 1', 'backup 2'),
    text.slice(0, 60),
    text.replace('N=131072', 'N=16777216'),
    text.replace('N=131072', 'N=1000'),
    text.replace('N=131072', 'N=0'),
    text.replace('r=8', 'r=0'),
    text.replace('p=1', 'p=999')
  ]
  for (const other of refused) await t.rejects(restoreKeys(other, passphrase), { code: 'INVALID_INPUT' })
})

t.test('restoring never replaces another key, and then adds none at all', async t => {
  const backup = await restoreKeys(text, passphrase)
  const keystore = await emptyStore(t)
  const other = await keystore.ensure('routing')
  await t.rejects(backup.writeInto(keystore), { code: 'KEY_REFUSED', message: /"routing"/ })
  t.same(await keystore.list(), ['routing'])
  t.same(await keystore.read('routing'), other)
})

t.test('restoring a second time is OK', async t => {
  const keystore = await emptyStore(t)
  const backup = await restoreKeys(text, passphrase)
  await backup.writeInto(keystore)
  await keystore.destroy('control')
  await backup.writeInto(keystore)
  await backup.writeInto(keystore)
  t.same(await keystore.list(), backup.names)
})

t.test('a short passphrase and an empty key store are refused', async t => {
  for (const short of ['', 'elevenchars', '😀'.repeat(6)]) {
    await t.rejects(backupKeys(source, new Secret(short)), { code: 'INVALID_INPUT', message: /12 characters/ })
  }
  await t.rejects(backupKeys(await emptyStore(t), passphrase), { code: 'KEY_MISSING' })
})

t.test('masters from the environment can be backed up into a folder', async t => {
  const control = randomBytes(32)
  const environment = new EnvKeyStore({ control: new Secret(control.toString('base64')) })
  const keystore = await emptyStore(t)
  await (await restoreKeys(await backupKeys(environment, passphrase), passphrase)).writeInto(keystore)
  t.same(await keystore.read('control'), control)
})
