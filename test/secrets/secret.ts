import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { format, inspect } from 'node:util'
import t from 'tap'
import { asSaasctlError, SaasctlError } from '../../src/errors.js'
import { Secret } from '../../src/secret.js'

const CANARY = 'canary-7f3a91'

t.test('a Secret never shows itself', async t => {
  const secret = new Secret(CANARY)
  const error = new SaasctlError('FAILED', `It failed with ${secret}.`, { hint: `${secret}`, data: { secret } })
  let logged = ''
  const stream = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk)
      done()
    }
  })
  const terminal = new Console({ stdout: stream, stderr: stream })
  terminal.log(secret)
  terminal.log('%s %o %O %j', secret, secret, secret, secret)
  terminal.dir({ secret }, { showHidden: true })
  terminal.table([{ secret }])
  terminal.error(error)

  const sights: Record<string, string> = {
    template: `${secret}`,
    concatenation: `login ${secret}`,
    joined: [secret, secret].join(),
    JSON: JSON.stringify({ deep: [{ secret }] }),
    inspect: inspect({ deep: [new Map([[secret, secret]])] }, { depth: 9, showHidden: true }),
    'inspect without its own say': inspect(secret, { customInspect: false, showHidden: true }),
    format: format('%s %o %O %j %d', secret, secret, secret, secret, secret),
    'error message': error.message,
    'error inspected': inspect(error, { depth: 9 }),
    'error for the ledger': JSON.stringify(error),
    'error of something else': asSaasctlError(new Error(String(secret))).message,
    'thrown as it is': asSaasctlError(secret).message,
    console: logged,
    spread: JSON.stringify({ ...secret }),
    entries: JSON.stringify(Object.entries(secret)),
    'own names': JSON.stringify(Object.getOwnPropertyNames(secret)),
    clone: inspect(structuredClone(secret))
  }
  for (const [where, seen] of Object.entries(sights)) t.notMatch(seen, CANARY, where)
  t.match(logged, /\[secret\]/)
  t.equal(secret.reveal(), CANARY, 'reveal is the one way to it')
})
