import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { SaasctlError } from '../../src/errors.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import { newDataKey, openDataKey } from '../../src/secrets/data-keys.js'
import { EnvKeyStore } from '../../src/secrets/env-keystore.js'
import { open, type Place, seal } from '../../src/secrets/envelope.js'
import { FileKeyStore } from '../../src/secrets/file-keystore.js'
import { type KeyStore, keyId, type MasterName } from '../../src/secrets/keystore.js'
import { openPassword, purposeOfLogin, randomPassword, sealPassword } from '../../src/secrets/passwords.js'
import { openSecret, sealSecret } from '../../src/secrets/sealed-secrets.js'

const masters: MasterName[] = ['routing', 'control']
const master = () => new Secret(randomBytes(32).toString('base64'))
const fresh = () => new EnvKeyStore({ routing: master(), control: master() })

async function folder(t: Test): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'keys-'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return join(made, 'keys')
}

/** The error's code, or what was opened: so that a property fails with what it saw. */
function outcome(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return (error as SaasctlError).code
  }
}

const anyText = fc.string({ unit: 'binary', maxLength: 12 })
const anyPlace: fc.Arbitrary<Place> = fc.record(
  { owner: anyText, purpose: anyText, version: fc.nat(99), item: anyText },
  { requiredKeys: ['owner', 'purpose', 'version'] }
)
const same = (a: Place, b: Place) =>
  a.owner === b.owner && a.purpose === b.purpose && a.version === b.version && a.item === b.item

t.test('what was sealed opens in its own place, whatever it is', async t => {
  const key = createSecretKey(randomBytes(32))
  fc.assert(
    fc.property(anyPlace, fc.uint8Array({ maxLength: 200 }), (place, bytes) => {
      const value = Buffer.from(bytes)
      return open(key, { ...place }, seal(key, place, value)).equals(value)
    })
  )
  t.notSame(
    seal(key, { owner: 'a', purpose: 'p', version: 1 }, 'x'),
    seal(key, { owner: 'a', purpose: 'p', version: 1 }, 'x')
  )
})

t.test('a ciphertext moved to another place does not open', async () => {
  const key = createSecretKey(randomBytes(32))
  fc.assert(
    fc.property(anyPlace, anyPlace, fc.boolean(), (place, other, near) => {
      const target = near ? { ...place, owner: other.owner } : other
      fc.pre(!same(place, target))
      return outcome(() => open(key, target, seal(key, place, 'value'))) === 'KEY_WRONG'
    }),
    { numRuns: 500 }
  )
  const slid: Array<[Place, Place]> = [
    [
      { owner: 'a:b', purpose: 'c', version: 1 },
      { owner: 'a', purpose: 'b:c', version: 1 }
    ],
    [
      { owner: 'ab', purpose: 'c', version: 1 },
      { owner: 'a', purpose: 'bc', version: 1 }
    ],
    [
      { owner: 'a', purpose: 'b', version: 12 },
      { owner: 'a', purpose: 'b1', version: 2 }
    ],
    [
      { owner: 'a', purpose: 'b', version: 1 },
      { owner: 'a', purpose: 'b', version: 1, item: '' }
    ],
    [
      { owner: 'a', purpose: 'b', version: 1, item: 'x' },
      { owner: 'a', purpose: 'b1:11:x', version: 1 }
    ],
    [
      { owner: '\ud800', purpose: 'b', version: 1 },
      { owner: '\ufffd', purpose: 'b', version: 1 }
    ]
  ]
  for (const [place, other] of slid) {
    t.throws(() => open(key, other, seal(key, place, 'value')), { code: 'KEY_WRONG' }, JSON.stringify(other))
  }
})

t.test('a ciphertext with one bit changed, cut short or drawn out does not open', async t => {
  const key = createSecretKey(randomBytes(32))
  const place = { owner: 'db', purpose: 'routing', version: 1 }
  const sealed = seal(key, place, 'a password of some length')
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const bent = Buffer.from(sealed)
    bent.writeUInt8(bent.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    if (outcome(() => open(key, place, bent)) !== 'KEY_WRONG') t.fail(`bit ${bit} may be changed`)
  }
  for (let length = 0; length < sealed.length; length += 1) {
    if (outcome(() => open(key, place, sealed.subarray(0, length))) !== 'KEY_WRONG') t.fail(`opens at ${length} bytes`)
  }
  t.throws(() => open(key, place, Buffer.concat([sealed, Buffer.of(0)])), { code: 'KEY_WRONG' })
  t.throws(() => open(createSecretKey(randomBytes(32)), place, sealed), {
    code: 'KEY_WRONG',
    message: /^The routing for "db" does not open/
  })
})

t.test('a password opens for its own login, version, purpose and database, and no other', async t => {
  const keystore = fresh()
  const databases = [uuidv7(), uuidv7()]
  const rooms = await Promise.all(
    databases.flatMap(databaseId => masters.map(purpose => newDataKey(keystore, { databaseId, purpose })))
  )
  const logins = ['t0a', 't0b', 'ta0']
  const anyRoom = fc.nat(rooms.length - 1)
  const anyWhose = fc.record({ login: fc.constantFrom(...logins), version: fc.integer({ min: 1, max: 3 }) })
  const password = randomPassword()
  fc.assert(
    fc.property(anyRoom, anyRoom, anyWhose, anyWhose, (room, otherRoom, whose, other) => {
      const from = rooms[room]?.dataKey
      const to = rooms[otherRoom]?.dataKey
      if (from === undefined || to === undefined) return false
      const sealed = sealPassword(from, whose, password)
      const own = room === otherRoom && whose.login === other.login && whose.version === other.version
      const opened = outcome(() => openPassword(to, other, sealed).reveal())
      return opened === (own ? password.reveal() : 'KEY_WRONG')
    }),
    { numRuns: 400 }
  )
  const sealed = rooms[0] && sealPassword(rooms[0].dataKey, { login: 't0a', version: 1 }, password)
  t.notOk(sealed?.includes(password.reveal()))
})

t.test('a data key moved to another row does not open', async t => {
  const keystore = fresh()
  const { row } = await newDataKey(keystore, { databaseId: uuidv7(), purpose: 'routing' })
  const other = await newDataKey(keystore, { databaseId: uuidv7(), purpose: 'control' })
  const moved = [
    { ...row, databaseId: uuidv7() },
    { ...row, version: 2 },
    { ...row, purpose: 'control' as const },
    { ...row, purpose: 'control' as const, masterKeyId: other.row.masterKeyId },
    { ...row, wrapped: other.row.wrapped },
    { ...row, wrapped: Buffer.alloc(0) },
    { ...row, masterKeyId: '' }
  ]
  for (const row of moved) await t.rejects(openDataKey(keystore, row), { code: 'KEY_WRONG' })
  t.equal((await openDataKey(keystore, row)).databaseId, row.databaseId)
})

t.test('a data key opens again from its row, also in another process’s key store', async t => {
  const at = await folder(t)
  for (const name of masters) await new FileKeyStore(at).ensure(name)
  const whose = { login: 't0a', version: 7 }
  for (const purpose of masters) {
    const { row, dataKey } = await newDataKey(new FileKeyStore(at), { databaseId: uuidv7(), purpose, version: 3 })
    const sealed = sealPassword(dataKey, whose, new Secret('pä$$wörd'))
    const again = await openDataKey(new FileKeyStore(at), row)
    t.equal(openPassword(again, whose, sealed).reveal(), 'pä$$wörd')
    t.equal(row.masterKeyId, keyId(await new FileKeyStore(at).read(purpose)))
  }
})

t.test('a stolen router opens app logins and nothing more', async t => {
  const routing = master()
  const keystore = new EnvKeyStore({ routing, control: master() })
  const stolen = new EnvKeyStore({ routing })
  const databaseId = uuidv7()
  const opened: string[] = []
  for (const [role, purpose] of Object.entries(purposeOfLogin)) {
    const { row, dataKey } = await newDataKey(keystore, { databaseId, purpose })
    const sealed = sealPassword(dataKey, { login: role, version: 1 }, randomPassword())
    try {
      openPassword(await openDataKey(stolen, row), { login: role, version: 1 }, sealed)
      opened.push(role)
    } catch (error) {
      t.match(error, { code: 'KEY_MISSING', hint: /SAASCTL_CONTROL_KEY/ })
    }
    await t.rejects(openDataKey(stolen, { ...row, purpose: 'routing', wrapped: row.wrapped, version: 9 }), {
      code: 'KEY_WRONG'
    })
  }
  t.same(opened, ['app_a', 'app_b'])
  const place = { owner: uuidv7(), purpose: 'server', version: 1 }
  const server = await sealSecret(keystore, 'control', place, new Secret('s'))
  await t.rejects(openSecret(stolen, 'control', place, server), { code: 'KEY_MISSING' })
  await t.rejects(openSecret(stolen, 'routing', place, server), { code: 'KEY_WRONG' })
})

t.test('a wrong master key is named, with the one that is needed', async t => {
  const [right, wrong] = [fresh(), fresh()]
  const { row } = await newDataKey(right, { databaseId: uuidv7(), purpose: 'control' })
  const held = keyId(await wrong.read('control'))
  await t.rejects(openDataKey(wrong, row), {
    code: 'KEY_WRONG',
    message: `The control data key of database ${row.databaseId} was sealed with control key ${row.masterKeyId}, the key store (environment) holds ${held}.`
  })
  const place = { owner: uuidv7(), purpose: 'server', version: 1 }
  const sealed = await sealSecret(right, 'control', place, new Secret('s'))
  await t.rejects(openSecret(wrong, 'control', place, sealed), { code: 'KEY_WRONG', message: /holds [0-9a-f]{16}\.$/ })
})

t.test('a lost master is never replaced by sealing or opening', async t => {
  const at = await folder(t)
  const keystore = new FileKeyStore(at)
  const databaseId = uuidv7()
  const place = { owner: databaseId, purpose: 'server', version: 1 }
  await t.rejects(newDataKey(keystore, { databaseId, purpose: 'control' }), { code: 'KEY_MISSING' })
  await t.rejects(sealSecret(keystore, 'control', place, new Secret('s')), { code: 'KEY_MISSING' })
  t.same(await keystore.list(), [])
})

t.test('a key that comes back is used without a restart', async t => {
  const at = await folder(t)
  const right = await new FileKeyStore(at).ensure('control')
  const { row } = await newDataKey(new FileKeyStore(at), { databaseId: uuidv7(), purpose: 'control' })
  const keystore = new FileKeyStore(at)
  await keystore.destroy('control')
  await t.rejects(openDataKey(keystore, row), { code: 'KEY_MISSING' })
  await keystore.ensure('control')
  await t.rejects(openDataKey(keystore, row), { code: 'KEY_WRONG' })
  await keystore.destroy('control')
  await keystore.add('control', right)
  t.equal((await openDataKey(keystore, row)).databaseId, row.databaseId)
})

t.test('a master is read from the key store once, however many open with it at once', async t => {
  const real = fresh()
  let reads = 0
  const counting: KeyStore = Object.assign(Object.create(real), {
    read: (name: string) => {
      reads += 1
      return real.read(name)
    }
  })
  const rows = await Promise.all(
    Array.from({ length: 10 }, () => newDataKey(counting, { databaseId: uuidv7(), purpose: 'routing' }))
  )
  for (const { row } of rows) await openDataKey(counting, row)
  t.equal(reads, 1)
})

t.test('a server’s control password opens in its own place only', async t => {
  const keystore = fresh()
  const place = { owner: uuidv7(), purpose: 'server', version: 2 }
  const sealed = await sealSecret(keystore, 'control', place, new Secret('control password'))
  t.equal((await openSecret(keystore, 'control', place, sealed)).reveal(), 'control password')
  const others = [
    { ...place, owner: uuidv7() },
    { ...place, purpose: 'catalog' },
    { ...place, version: 1 }
  ]
  for (const other of others) await t.rejects(openSecret(keystore, 'control', other, sealed), { code: 'KEY_WRONG' })
  await t.rejects(openSecret(keystore, 'routing', place, sealed), { code: 'KEY_WRONG' })
  for (let at = 0; at < sealed.length; at += 1) {
    const bent = Buffer.from(sealed)
    bent.writeUInt8(bent.readUInt8(at) ^ 1, at)
    await openSecret(keystore, 'control', place, bent).then(
      () => t.fail(`byte ${at} may be changed`),
      error => error.code === 'KEY_WRONG' || t.fail(`byte ${at}: ${error}`)
    )
  }
  for (const length of [0, 4, 8, 20]) {
    await t.rejects(openSecret(keystore, 'control', place, sealed.subarray(0, length)), { code: 'KEY_WRONG' })
  }
})

t.test('wrapping and sealing with one master use different keys', async t => {
  const keystore = fresh()
  const { row } = await newDataKey(keystore, { databaseId: uuidv7(), purpose: 'control' })
  const place = { owner: row.databaseId, purpose: 'control data key', version: 1 }
  const disguised = Buffer.concat([Buffer.from(row.masterKeyId, 'hex'), row.wrapped])
  await t.rejects(openSecret(keystore, 'control', place, disguised), { code: 'KEY_WRONG' })
})

t.test('errors and opened keys show no value', async t => {
  const canary = 'canary-51c0de'
  const keystore = fresh()
  const { row, dataKey } = await newDataKey(keystore, { databaseId: uuidv7(), purpose: 'routing' })
  const sealed = sealPassword(dataKey, { login: 't0a', version: 1 }, new Secret(canary))
  const bytes = dataKey.key.export()
  const error = outcome(() => {
    try {
      return openPassword(dataKey, { login: 't0b', version: 1 }, sealed)
    } catch (error) {
      return inspect(error, { depth: 9, showHidden: true })
    }
  })
  const seen = `${error}${inspect({ row, dataKey, keystore }, { depth: 9, showHidden: true })}${JSON.stringify(dataKey)}`
  t.match(seen, /KEY_WRONG/)
  t.notMatch(seen, canary)
  t.notOk(seen.includes(bytes.toString('base64')))
  t.notOk(seen.includes([...bytes.subarray(0, 4)].map(byte => byte.toString(16).padStart(2, '0')).join(' ')))
})

t.test('passwords are random, long and need no quoting', async t => {
  const made = Array.from({ length: 200 }, () => randomPassword().reveal())
  t.equal(new Set(made).size, 200)
  for (const password of made) if (!/^[\w-]{43}$/.test(password)) t.fail('a character that needs quoting')
})
