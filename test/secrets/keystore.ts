import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Secret } from '../../src/secret.js'
import { EnvKeyStore } from '../../src/secrets/env-keystore.js'
import { FileKeyStore } from '../../src/secrets/file-keystore.js'
import { isKeyName, keyId } from '../../src/secrets/keystore.js'
import { openKeyStore } from '../../src/secrets/open-keystore.js'

const TENANT = 'tenant/018f6b1c-7d3a-7a10-9c1e-0a4b5c6d7e8f'

async function place(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keys-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const base64 = () => randomBytes(32).toString('base64')

t.test('a key is made once and is the same ever after', async t => {
  const folder = join(await place(t), 'deep', 'keys')
  const first = await new FileKeyStore(folder).ensure('control')
  t.equal(first.length, 32)
  t.same(await new FileKeyStore(folder).ensure('control'), first)
  t.same(await new FileKeyStore(folder).read('control'), first)
  t.notSame(await new FileKeyStore(folder).ensure('routing'), first)
  await new FileKeyStore(folder).ensure(TENANT)
  t.same(await new FileKeyStore(folder).list(), ['control', 'routing', TENANT])
})

t.test('keys are for their owner alone, folders above them are as usual', async t => {
  const above = join(await place(t), 'above')
  await new FileKeyStore(join(above, 'keys')).ensure(TENANT)
  const mode = async (path: string) => (await stat(path)).mode & 0o777
  t.equal(await mode(join(above, 'keys', `${TENANT}.key`)), 0o600)
  t.equal(await mode(join(above, 'keys', 'tenant')), 0o700)
  t.equal(await mode(join(above, 'keys')), 0o700)
  t.equal(await mode(above), 0o777 & ~process.umask())
})

t.test('two first starts at once agree on one key', async t => {
  const folder = join(await place(t), 'keys')
  const names = Array.from({ length: 20 }, (_, index) => `first-start-${index}`)

  await t.test('in one process', async t => {
    for (const name of names) {
      const keys = await Promise.all(Array.from({ length: 8 }, () => new FileKeyStore(folder).ensure(name)))
      t.equal(new Set(keys.map(keyId)).size, 1)
      t.equal(keyId(await new FileKeyStore(folder).read(name)), keyId(keys[0] ?? Buffer.of()))
    }
  })

  await t.test('in several processes', async t => {
    const other = join(await place(t), 'keys')
    const module = new URL('../../src/secrets/', import.meta.url).href
    // Every process waits for its stdin to end, so that all of them start on the same moment.
    const program = `
      import { FileKeyStore } from '${module}file-keystore.js'
      import { keyId } from '${module}keystore.js'
      process.stdout.write('ready ')
      for await (const _ of process.stdin);
      for (const name of ${JSON.stringify(names)}) console.log(keyId(await new FileKeyStore(process.argv[1]).ensure(name)))`
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', program, other], { stdio: ['pipe', 'pipe', 'inherit'] })
    )
    t.teardown(() => children.map(child => child.kill()))
    await Promise.all(children.map(child => new Promise(resolve => child.stdout.once('readable', resolve))))
    for (const child of children) child.stdin.end()
    const answers = await Promise.all(children.map(child => text(child.stdout)))
    t.equal(new Set(answers).size, 1, 'every process got the same keys')
    t.equal(answers[0]?.trim().split(/\s+/).length, 1 + names.length)
  })

  t.same(await readdir(folder), names.map(name => `${name}.key`).sort(), 'nothing else is left in the folder')
})

t.test('a key readable by others is refused, with the line that mends it', async t => {
  const folder = join(await place(t), 'keys')
  const keystore = new FileKeyStore(folder)
  const key = await keystore.ensure('control')
  const file = join(folder, 'control.key')
  for (const mode of [0o640, 0o604, 0o620, 0o644]) {
    await chmod(file, mode)
    await t.rejects(keystore.read('control'), { code: 'KEY_REFUSED', hint: `Run: chmod 600 ${file}` })
    await t.rejects(keystore.ensure('control'), { code: 'KEY_REFUSED' }, 'and no new one is made')
  }
  await chmod(file, 0o600)
  t.same(await keystore.read('control'), key)
  await chmod(folder, 0o770)
  await t.rejects(keystore.read('control'), { code: 'KEY_REFUSED', hint: `Run: chmod 700 ${folder}` })
})

t.test('a damaged key file is said to be damaged, and never replaced', async t => {
  const folder = join(await place(t), 'keys')
  const keystore = new FileKeyStore(folder)
  await keystore.ensure('control')
  const file = join(folder, 'control.key')
  const good = await readFile(file, 'utf8')
  const swapped = good.replace(/\S(?=.{10}\n)/, character => (character === 'A' ? 'B' : 'A'))
  for (const bad of ['', good.slice(0, -5), swapped, `${good}${good}`, good.replace('key-1', 'key-9')]) {
    await writeFile(file, bad)
    await t.rejects(keystore.read('control'), { code: 'KEY_REFUSED', message: /control\.key is damaged/ })
    await t.rejects(keystore.ensure('control'), { code: 'KEY_REFUSED' })
    t.equal(await readFile(file, 'utf8'), bad)
  }
})

t.test('a lost key is said plainly, and reading never makes one', async t => {
  const folder = join(await place(t), 'keys')
  const keystore = new FileKeyStore(folder)
  const hint = `Looked for ${folder}/routing.key. If it was lost, bring it back with: saasctl key restore`
  await t.rejects(keystore.read('routing'), {
    code: 'KEY_MISSING',
    message: 'The key "routing" is not in the key store.',
    hint
  })
  t.same(await keystore.list(), [])
})

t.test('a destroyed key is gone with every copy beside it; a second time is OK', async t => {
  const folder = join(await place(t), 'keys')
  const keystore = new FileKeyStore(folder)
  await keystore.destroy(TENANT)
  await keystore.ensure(TENANT)
  await keystore.ensure('control')
  // What a writer leaves when it is killed between giving the key its name and removing the first one.
  await writeFile(join(folder, `${TENANT.replace('/', '/.')}.key.0123456789abcdef`), 'copy')
  await keystore.destroy(TENANT)
  await t.rejects(keystore.read(TENANT), { code: 'KEY_MISSING' })
  t.same(await readdir(join(folder, 'tenant')), [])
  await keystore.destroy(TENANT)
  t.same(await keystore.list(), ['control'])
})

t.test('a key from elsewhere is taken in, never over another one', async t => {
  const keystore = new FileKeyStore(join(await place(t), 'keys'))
  const key = randomBytes(32)
  await keystore.add('audit', key)
  await keystore.add('audit', key)
  t.same(await keystore.read('audit'), key)
  const other = randomBytes(32)
  await t.rejects(keystore.add('audit', other), {
    code: 'KEY_REFUSED',
    message: new RegExp(`${keyId(other)}.*holds ${keyId(key)}`)
  })
  await t.rejects(keystore.add('short', randomBytes(31)), { code: 'KEY_REFUSED' })
  t.same(await keystore.read('audit'), key)
  t.same(await keystore.list(), ['audit'])
})

t.test('names cannot leave the folder', async t => {
  const outside = await place(t)
  const keystore = new FileKeyStore(join(outside, 'keys'))
  await new FileKeyStore(outside).ensure('outside')
  const hostile = [
    '',
    '.',
    '..',
    '../outside',
    'tenant/../../outside',
    '/etc/passwd',
    'a/b/c',
    'a\0b',
    'a//b',
    'a/',
    '-a'
  ]
  for (const name of [...hostile, 'control\n', 'Control', 'a'.repeat(65), '%2e%2e/x', '.control.key', 'a\\..\\b']) {
    const says = JSON.stringify(name)
    await t.rejects(keystore.read(name), { code: 'INVALID_INPUT' }, says)
    await t.rejects(keystore.ensure(name), { code: 'INVALID_INPUT' }, says)
    await t.rejects(keystore.destroy(name), { code: 'INVALID_INPUT' }, says)
    await t.rejects(keystore.add(name, randomBytes(32)), { code: 'INVALID_INPUT' }, says)
  }
  t.same((await readdir(outside)).sort(), ['outside.key'])

  const piece = fc.constantFrom('.', '..', '/', '\\', 'a', '-', '\0', 'tenant', ' ')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), pieces => {
      const name = pieces.join('')
      if (!isKeyName(name)) return true
      return join('/keys', `${name}.key`) === `/keys/${name}.key` && name.split('/').length <= 2
    })
  )
})

t.test('masters can come from the environment, which makes, takes and destroys nothing', async t => {
  const control = base64()
  const keystore = openKeyStore('env', { control: new Secret(` ${control}\n`) })
  t.same(await keystore.read('control'), Buffer.from(control, 'base64'))
  t.same(await keystore.ensure('control'), Buffer.from(control, 'base64'))
  t.same(await keystore.list(), ['control'])
  const missing = { code: 'KEY_MISSING', hint: 'Set SAASCTL_ROUTING_KEY to base64 of 32 bytes.' }
  await t.rejects(keystore.read('routing'), missing)
  await t.rejects(keystore.ensure('routing'), missing)
  await t.rejects(openKeyStore('env').ensure('control'), { code: 'KEY_MISSING', hint: /SAASCTL_CONTROL_KEY/ })
  await t.rejects(keystore.ensure(TENANT), { code: 'KEY_MISSING', hint: /file:PATH/ })
  await keystore.add('control', Buffer.from(control, 'base64'))
  await t.rejects(keystore.add('control', randomBytes(32)), { code: 'KEY_REFUSED' })
  await t.rejects(keystore.add('routing', randomBytes(32)), { code: 'KEY_REFUSED' })
  await t.rejects(keystore.destroy('control'), { code: 'KEY_REFUSED' })
  await keystore.destroy(TENANT)
  const copy = await keystore.read('control')
  copy.fill(0)
  t.same(await keystore.read('control'), Buffer.from(control, 'base64'), 'who was given a key cannot change it')
})

t.test('a bad master in the environment is named, and its value is not shown', async t => {
  for (const bad of [
    '',
    'short',
    randomBytes(31).toString('base64'),
    randomBytes(33).toString('base64'),
    'ü'.repeat(43)
  ]) {
    try {
      new EnvKeyStore({ routing: new Secret(bad) })
      t.fail('it was taken')
    } catch (error) {
      t.match(error, { code: 'CONFIG_INVALID', message: /^SAASCTL_ROUTING_KEY is not a key/ })
      if (bad !== '') t.notOk(inspect(error, { depth: 9 }).includes(bad))
    }
  }
})

t.test('one key for both masters is refused: a stolen router would hold it', async t => {
  const one = base64()
  t.throws(() => new EnvKeyStore({ routing: new Secret(one), control: new Secret(one) }), {
    code: 'CONFIG_INVALID',
    message: /same key/
  })
})

t.test('a key store that is not known is refused, and says which there are', async t => {
  for (const spec of ['', 'file:', 'file', 'env:', 'vault:x', '/etc/keys']) {
    t.throws(() => openKeyStore(spec), { code: 'CONFIG_INVALID', hint: /file:PATH/ })
  }
  const folder = join(await place(t), 'keys')
  t.equal(openKeyStore(`file:${folder}`).describe(), `folder ${folder}`)
})

t.test('printing a key store shows no key', async t => {
  const routing = base64()
  const keystore = new EnvKeyStore({ routing: new Secret(routing) })
  await keystore.read('routing')
  const seen = inspect(keystore, { showHidden: true, depth: 9 }) + JSON.stringify(keystore)
  t.notOk(seen.includes(routing))
  t.notOk(seen.includes(inspect(Buffer.from(routing, 'base64')).slice(8, 30)), 'nor its bytes')
})
