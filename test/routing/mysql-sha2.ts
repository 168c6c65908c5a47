import { constants, createHash, generateKeyPairSync, privateDecrypt } from 'node:crypto'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { Connection } from 'mysql2'
import t from 'tap'
import { MysqlRouting } from '../../src/engines/mysql/routing/routing.js'
import type { RoutedConnection, RoutedWay } from '../../src/engines/routing.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'

// How MySQL 8 lets logins in, spoken by a server of the test's own, after the manual: no MySQL 8 is on every machine.

const PLUGIN = 'caching_sha2_password'
const SALT = 'abcdefghijklmnopqrst'
const SWITCHED = 'tsrqponmlkjihgfedcba'
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const sha256 = (...parts: Array<Buffer | string>) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const xor = (one: Buffer, other: Buffer) =>
  Buffer.from(one.map((byte, index) => byte ^ (other[index % other.length] ?? 0)))
const tokenOf = (password: string, salt: string) => {
  const once = sha256(password)
  return xor(once, sha256(sha256(once), salt))
}

const packet = (number: number, ...parts: Array<Buffer | string>) => {
  const body = Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))
  return Buffer.concat([Buffer.from([body.length & 255, body.length >> 8, 0, number]), body])
}
const ok = (number: number) => packet(number, '\0\0\0\x02\0\0\0')
const refusal = (number: number) => packet(number, '\xff\x15\x04#28000no')
const greeting = packet(
  0,
  `\x0a8.4.0\0\x01\0\0\0${SALT.slice(0, 8)}\0\xff\xf7\x2d\x02\0\xff\xdf\x15${'\0'.repeat(10)}${SALT.slice(8)}\0${PLUGIN}\0`
)

interface Mysql8 {
  server: Server
  /** What was proved, in order. */
  log: string[]
}

/** Knows one password. `cached`: it has seen it before, and the hash is enough. */
function mysql8(password: string, cached: boolean): Mysql8 {
  const log: string[] = []
  const server = createServer(socket => {
    let waitsFor: 'login' | 'key' | 'secret' | 'command' | 'switched' = 'login'
    const prove = (number: number, token: Buffer, salt: string) => {
      if (!token.includes(tokenOf(password, salt))) {
        waitsFor = 'command'
        return refusal(number)
      }
      log.push(`hash for ${salt === SALT ? 'the greeting' : 'a new number'}`)
      waitsFor = cached ? 'command' : 'key'
      return cached ? Buffer.concat([packet(number, '\x01\x03'), ok(number + 1)]) : packet(number, '\x01\x04')
    }
    socket.on('error', () => {})
    socket.on('data', data => {
      const number = (data[3] ?? 0) + 1
      if (waitsFor === 'login') socket.write(prove(number, data, SALT))
      else if (waitsFor === 'switched') socket.write(prove(number, data, SWITCHED))
      else if (waitsFor === 'key') {
        waitsFor = 'secret'
        socket.write(packet(number, '\x01', publicKey.export({ type: 'spki', format: 'pem' })))
      } else if (waitsFor === 'secret') {
        const padding = constants.RSA_PKCS1_OAEP_PADDING
        const salt = log.at(-1)?.includes('greeting') ? SALT : SWITCHED
        const plain = xor(privateDecrypt({ key: privateKey, padding }, data.subarray(4)), Buffer.from(salt))
        waitsFor = 'command'
        log.push('password under the key')
        socket.write(plain.toString() === `${password}\0` ? ok(number) : refusal(number))
      } else if (data[4] === 0x11) {
        waitsFor = 'switched'
        socket.write(packet(1, `\xfe${PLUGIN}\0${SWITCHED}\0`))
      } else if (data[4] === 3) {
        log.push(data.subarray(5, 16).toString())
        socket.write(ok(1))
      }
    })
    socket.write(greeting)
  })
  return { server, log }
}

const clientOf = (connection: RoutedConnection) => connection.driver as Connection

for (const cached of [true, false]) {
  t.test(
    `a login that MySQL 8 ${cached ? 'remembers' : 'has not seen since it started'} is let in, and let change`,
    async t => {
      const { server, log } = mysql8('the-password', cached)
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      t.teardown(() => server.close())
      const { port } = server.address() as AddressInfo
      const way = (password: string): RoutedWay => ({
        address: { host: '127.0.0.1', port, tls: { mode: 'disable' } },
        database: 'tenant',
        databaseId: uuidv7(),
        as: { login: 'app', password: new Secret(password) },
        loginVersion: 1,
        applicationName: 'app',
        statementTimeoutMs: null,
        connectTimeoutMs: 5_000
      })
      const routing = new MysqlRouting()
      const connection = await routing.open(way('the-password'))
      const proof = cached ? [] : ['password under the key']
      t.strictSame(log, ['hash for the greeting', ...proof, 'SET SESSION'])
      t.equal(await routing.repoint(connection, way('the-password')), connection)
      t.strictSame(log.slice(2 + proof.length), ['hash for a new number', ...proof, 'SET SESSION'])
      t.equal(connection.inDoubt, false)
      t.equal(clientOf(connection).config.password, undefined, 'and nothing of it stays in the connection')

      await t.rejects(routing.repoint(connection, way('wrong')), { code: 'SERVER_DENIED' })
      t.equal(connection.inDoubt, true)
      await t.rejects(routing.open(way('wrong')), { code: 'SERVER_DENIED' })
    }
  )
}
