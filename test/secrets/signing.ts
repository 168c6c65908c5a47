import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { EnvKeyStore } from '../../src/secrets/env-keystore.js'
import { FileKeyStore } from '../../src/secrets/file-keystore.js'
import { readPublicKeys, rotateSigningKey, signedBy, signer, signingKeys } from '../../src/secrets/signing.js'

async function store(t: Test): Promise<{ folder: string; keys: FileKeyStore }> {
  const folder = await mkdtemp(join(tmpdir(), 'signing-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return { folder, keys: new FileKeyStore(join(folder, 'keys')) }
}

const bytes = Buffer.from('what was said')
const silent = async () => {}

t.test('what was signed verifies with openssl alone, and not when one byte differs', async t => {
  const { folder, keys } = await store(t)
  const { sign, publicKey } = await signer(keys)
  const signature = sign(bytes)
  await writeFile(join(folder, 'pub.pem'), `key of ours\n${publicKey}`)
  await writeFile(join(folder, 'said.sig'), signature)
  const openssl = async (text: Buffer) => {
    await writeFile(join(folder, 'said'), text)
    const args = 'pkeyutl -verify -pubin -inkey pub.pem -rawin -in said -sigfile said.sig'.split(' ')
    return spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' }).status
  }
  t.equal(await openssl(bytes), 0)
  t.equal(await openssl(Buffer.from('what was sung')), 1)
  t.ok(signedBy(publicKey, bytes, signature))
  t.notOk(signedBy(publicKey, Buffer.from('what was sung'), signature))
  t.notOk(signedBy(publicKey, bytes, signature.subarray(1)), 'half a signature is none, and no crash')
})

t.test('the key is made once; a second program signs with the same', async t => {
  const { folder, keys } = await store(t)
  const [one, two] = [await signer(keys), await signer(new FileKeyStore(join(folder, 'keys')))]
  t.equal(one.keyId, two.keyId)
  t.match(await signingKeys(keys), [{ keyId: one.keyId, until: null }])
})

t.test('a rotation retires the key with its dates, keeps its public half, and destroys the private one', async t => {
  const { folder, keys } = await store(t)
  const first = await signer(keys)
  const told: string[][] = []
  for (let round = 0; round < 2; round += 1) {
    await rotateSigningKey(keys, async (...ids) => {
      told.push(ids)
      t.equal((await signer(keys)).keyId, ids[0], 'nothing is changed before it is announced')
    })
  }
  const now = await signer(keys)
  const known = await signingKeys(keys)
  t.strictSame(told, [
    [first.keyId, known[1]?.keyId],
    [known[1]?.keyId, now.keyId]
  ])
  t.strictSame(
    known.map(({ until }) => until?.toISOString()),
    [...known.slice(1).map(({ from }) => from.toISOString()), undefined],
    'one begins where the other ends'
  )
  t.equal(known[0]?.publicKey, first.publicKey)
  t.equal((await readdir(join(folder, 'keys', 'audit'))).length, 1, 'one private key is left')
})

t.test('a rotation that was killed between its steps is finished by the next; no key is lost', async t => {
  const { folder, keys } = await store(t)
  const first = await signer(keys)
  class Killed extends FileKeyStore {
    override async destroy(): Promise<void> {
      throw new Error('killed')
    }
  }
  const killed = new Killed(join(folder, 'keys'))
  await t.rejects(rotateSigningKey(killed, silent), { message: 'killed' })
  const half = await signingKeys(keys)
  t.equal(half.length, 2)
  t.match(half[0], { keyId: first.keyId, until: half[1]?.from })
  await rotateSigningKey(keys, silent)
  const known = await signingKeys(keys)
  t.equal(known.length, 3)
  t.strictSame(
    known.slice(0, 2).map(({ keyId }) => keyId),
    half.map(({ keyId }) => keyId)
  )
  t.strictSame(known[0]?.until, half[0]?.until, 'and its dates stay')
})

t.test('a rotation refused by its announcement changes nothing', async t => {
  const { keys } = await store(t)
  const { keyId } = await signer(keys)
  const refuse = async () => {
    throw new Error('the catalog is away')
  }
  await t.rejects(rotateSigningKey(keys, refuse), { message: 'the catalog is away' })
  t.match(await signingKeys(keys), [{ keyId, until: null }])
})

t.test('what is no signing key is refused in one sentence', async t => {
  const { keys } = await store(t)
  const { publicKey, keyId } = await signer(keys)
  t.equal(readPublicKeys(`# from somebody\n${publicKey}`)[0]?.keyId, keyId)
  const rsa = spawnSync('sh', ['-c', 'openssl genrsa 2048 2>/dev/null | openssl rsa -pubout 2>/dev/null']).stdout
  for (const text of ['', 'PEM', rsa.toString(), publicKey.slice(0, 60)]) {
    t.throws(() => readPublicKeys(text), { code: 'INVALID_INPUT', message: /no public key/ })
  }
  await t.rejects(signer(new EnvKeyStore({})), { code: 'KEY_MISSING', hint: /key folder/ })
})
