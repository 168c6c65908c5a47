import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { canonical, checksum, type Json } from '../src/canonical.js'
import { Closers } from '../src/closers.js'
import { packageFolder } from '../src/config.js'
import { asSaasctlError, type ErrorCode, errorTable, fromRecord, SaasctlError } from '../src/errors.js'
import { databaseIdOf, databaseName, isUuid, parseName, parseSlug, quoteInput, uuidv7 } from '../src/names.js'
import { packageVersion } from '../src/version.js'

const letters = 'abcdefghijklmnopqrstuvwxyz'
const digits = '0123456789'

/** The rule said a second time, character by character, and not as the pattern that is under test. */
function isSlug(text: string): boolean {
  const parts = text.split('-')
  const plain = parts.every(
    part => part !== '' && [...part].every(one => letters.includes(one) || digits.includes(one))
  )
  return plain && letters.includes(text.charAt(0)) && text.length >= 3 && text.length <= 40
}

/** On one line, of bounded length, and nothing in it that a terminal would obey or hide. */
function isSpeakable(message: string): boolean {
  return message.length <= 150 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(message)
}

function refusal(act: () => unknown): SaasctlError | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof SaasctlError) return error
    throw error
  }
}

const almost = fc.string({ unit: fc.constantFrom(...letters, ...digits, '-', 'A', '_', '.', ' ', 'ä'), maxLength: 45 })
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 120 }), fc.string({ unit: 'grapheme' }), almost)

t.test('a slug is taken as it is, or refused in one short printable sentence', async () => {
  fc.assert(
    fc.property(anyText, text => {
      const error = refusal(() => parseSlug(text))
      if (!error) return isSlug(text) && parseSlug(text) === text
      const reserved = /reserved/.test(error.message)
      return (
        error.code === 'INVALID_SLUG' && isSpeakable(error.message) && error.exit === 2 && isSlug(text) === reserved
      )
    }),
    { numRuns: 2000 }
  )
  const part = fc.string({ unit: fc.constantFrom(...letters, ...digits), minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), parts => parseSlug(`qz${parts.join('-')}`) !== '')
  )
})

t.test('what a stranger sends as a slug is refused, whatever it is', async t => {
  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  const strange = [
    '',
    'ab',
    'a'.repeat(41),
    'a'.repeat(10_000),
    '-ab',
    'ab-',
    'a--b',
    '1ab',
    'Acme',
    'acme ',
    ' acme',
    'acme\n',
    'acme\u0000',
    'acme\u202egnp',
    'acme\u200b',
    'acme\u2028',
    'acme\u00ad',
    '\u061cacme',
    '\u001b[31macme',
    '\udc00\ud800',
    '\u{e0001}acme',
    'аcme',
    'ａｃｍｅ',
    'ﬁrm',
    'acme😀',
    'xn--acme',
    "acme'; drop table saasctl.tenant; --",
    'acme/../other',
    'acme.example',
    'acme_eu',
    '%00',
    '<script>',
    null,
    undefined,
    42,
    10n,
    Symbol('acme'),
    ['acme'],
    { toString: () => 'acme' },
    new Proxy({}, {}),
    cyclic,
    () => 'acme'
  ]
  for (const input of strange) {
    const error = refusal(() => parseSlug(input))
    t.equal(error?.code, 'INVALID_SLUG', quoteInput(input))
    t.ok(isSpeakable(error?.message ?? '\n'), error?.message ?? 'it was accepted')
    t.match(error?.hint, /3 to 40 characters/)
  }
})

t.test('a word of the product is no slug', async t => {
  for (const word of ['admin', 'api', 'www', 'saasctl', 'postgres', 'null', 'undefined', 'template', 'warm']) {
    t.match(
      refusal(() => parseSlug(word)),
      { code: 'INVALID_SLUG', message: `"${word}" is a reserved word and cannot be a slug.` }
    )
  }
  t.equal(parseSlug('admin-2'), 'admin-2')
})

t.test('names of servers, templates and plans follow one rule', async t => {
  fc.assert(
    fc.property(anyText, text => {
      const error = refusal(() => parseName(text, 'server'))
      if (error) return error.code === 'INVALID_INPUT' && isSpeakable(error.message)
      return /^[a-z]/.test(text) && text.length <= 63 && !/[^a-z0-9-]|--|-$/.test(text)
    })
  )
  t.equal(parseName('a'.repeat(63), 'plan'), 'a'.repeat(63))
  t.match(
    refusal(() => parseName('a'.repeat(64), 'plan')),
    { message: /name of a plan/ }
  )
})

t.test('foreign input is shown in full when it is short, and what it holds does nothing', async t => {
  t.equal(quoteInput('acme'), '"acme"')
  t.equal(quoteInput('say "hi"'), '"say \\"hi\\""')
  t.equal(quoteInput('Zürich 😀'), '"Zürich 😀"')
  t.equal(quoteInput('a\tb\u001b[0m\u202e'), '"a\\tb\\u001b[0m\\u202e"')
  t.equal(quoteInput('x'.repeat(60)), `"${'x'.repeat(60)}"`)
  t.equal(quoteInput('x'.repeat(61)), `"${'x'.repeat(57)}..."`)
  fc.assert(fc.property(fc.anything(), input => isSpeakable(quoteInput(input)) && quoteInput(input).length <= 62))
})

t.test('ids are UUIDv7, never twice the same, and sort as they were made', async t => {
  const made = Array.from({ length: 20_000 }, () => uuidv7())
  t.equal(new Set(made).size, made.length)
  t.strictSame(made.toSorted(), made)
  t.ok(made.every(id => isUuid(id) && /^.{14}7.{4}[89ab]/.test(id)))
  const last = made.at(-1) ?? ''
  t.ok(uuidv7(0) > last, 'also when the clock goes back to 1970')
  const later = Date.now() + 3_600_000
  t.equal(Number.parseInt(uuidv7(later).replace('-', '').slice(0, 12), 16), later)
})

t.test('a database is named after its id, and the id is found again', async t => {
  fc.assert(
    fc.property(fc.uuid(), fc.uuid(), (id, other) => {
      const name = databaseName(id)
      const fits = /^t[0-9a-z]{26}$/.test(name) && !/[ilou]/.test(name.slice(1))
      return fits && databaseIdOf(name) === id && (id === other || databaseName(other) !== name)
    })
  )
  for (const id of ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']) {
    t.equal(databaseIdOf(databaseName(id)), id)
  }
  fc.assert(
    fc.property(anyText, text => databaseIdOf(text) === undefined || databaseName(databaseIdOf(text) ?? '') === text)
  )
  for (const name of [
    '',
    'postgres',
    'template0',
    `t8${'0'.repeat(25)}`,
    `t${'0'.repeat(26)}a`,
    `T${'0'.repeat(26)}`
  ]) {
    t.equal(databaseIdOf(name), undefined, name)
  }
})

t.test('what was opened last is closed first, once, and each waits for the one before', async t => {
  const closers = new Closers()
  const said: string[] = []
  closers.push(() => said.push('first'))
  closers.push(async () => {
    await new Promise(resolve => setTimeout(resolve, 5))
    said.push('second')
  })
  await Promise.all([closers.close(), closers.close()])
  await closers.close()
  t.strictSame(said, ['second', 'first'])
})

t.test('a closer that fails stops no other, and the first error is the news', async t => {
  const closers = new Closers()
  const said: string[] = []
  closers.push(() => said.push('the rest'))
  closers.push(() => Promise.reject(new Error('the second')))
  closers.push(() => {
    throw new Error('the first')
  })
  const news = await closers.close().catch((error: unknown) => error)
  t.match(news, { message: 'the first', errors: [{ message: 'the first' }, { message: 'the second' }] })
  t.strictSame(said, ['the rest'])

  const alone = new Closers()
  const error = new SaasctlError('FAILED', 'Alone.')
  alone.push(() => Promise.reject(error))
  t.equal(await alone.close().catch((thrown: unknown) => thrown), error)
})

t.test('every error has a code for machines, a meaning and an exit code of the contract', async t => {
  const exits = new Set([1, 2, 3, 4, 5, 6, 7, 8, 130])
  for (const [code, { status, exit, about }] of Object.entries(errorTable)) {
    t.match(code, /^[A-Z]+(_[A-Z]+)*$/)
    t.ok(exits.has(exit), `${code} exits with ${exit}`)
    t.ok(Number.isInteger(status) && status >= 200 && status < 600, `${code} is ${status}`)
    t.match(about, /^[A-Z].*\.$/s, code)
    const error = new SaasctlError(code as ErrorCode, 'It happened.')
    t.match({ exit: error.exit, status: error.status }, { exit, status })
  }
})

const record = fc.record(
  {
    code: fc.constantFrom(...(Object.keys(errorTable) as ErrorCode[])),
    message: fc.string(),
    hint: fc.string(),
    operationId: fc.uuid(),
    data: fc.dictionary(fc.string(), fc.integer(), { noNullPrototype: true })
  },
  { requiredKeys: ['code', 'message'], noNullPrototype: true }
)

t.test('an error comes back from the ledger as it went in', async t => {
  fc.assert(
    fc.property(record, fc.array(record, { maxLength: 2 }), (first, also) => {
      const error = new SaasctlError(first.code, first.message, { ...first, also })
      const back = fromRecord(JSON.parse(JSON.stringify(error)))
      t.strictSame(back.toJSON(), error.toJSON())
      return back.exit === error.exit
    }),
    { numRuns: 30 }
  )
  for (const code of ['WRITTEN_BY_A_NEWER_PROGRAM', 'constructor', '__proto__', 'toString']) {
    const unknown = fromRecord({ code: code as ErrorCode, message: 'Hm.' })
    t.match({ code: unknown.code, exit: unknown.exit }, { code: 'FAILED', exit: 1 })
  }
})

t.test('anything thrown becomes the one error type, and keeps what it was as the cause', async t => {
  const ours = new SaasctlError('TENANT_EXISTS', 'The slug "acme" is taken.')
  t.equal(asSaasctlError(ours), ours)
  const driver = new TypeError('x is not a function')
  t.match(asSaasctlError(driver), { code: 'FAILED', message: driver.message, cause: driver })
  for (const thrown of ['text', undefined, null, 42]) t.equal(asSaasctlError(thrown).code, 'FAILED')
})

t.test('canonical JSON is RFC 8785, by its own examples', async t => {
  const sample = JSON.parse(
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}'
  )
  t.equal(
    canonical(sample),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
  )
  const keys = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 }
  t.strictSame(Object.values(JSON.parse(canonical(keys))), [4, 2, 6, 7, 1, 5, 3], 'a parser puts "1" before "\\r"')
  t.match(canonical(keys), /^\{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3\}$/)
  t.equal(canonical([-0, 1e21, 1e-7, 0.1]), '[0,1e+21,1e-7,0.1]')
  t.equal(canonical({ b: undefined, a: { d: undefined } }), '{"a":{}}')
})

t.test('equal values have one checksum, whatever the order of their keys', async t => {
  const shuffled = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (value === null || typeof value !== 'object') return value
    const pairs = Object.entries(value).map(([key, member]) => [key, shuffled(member as Json)])
    return Object.fromEntries(pairs.reverse())
  }
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), any => {
      const value = JSON.parse(JSON.stringify(any)) as Json
      const said = canonical(value)
      t.strictSame(JSON.parse(said), value)
      return canonical(shuffled(value)) === said && checksum(shuffled(value)) === checksum(value)
    })
  )
  t.not(checksum({ a: 1 }), checksum({ a: '1' }))
  t.equal(checksum({}), '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
})

t.test('the program knows its version', async t => {
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as { version: string }
  t.equal(packageVersion(), version)
})

t.test('docs/errors.md lists exactly the codes of the table', async t => {
  const page = await readFile(join(packageFolder, 'docs', 'errors.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\d+) \| (.*) \|$/gm)]
  t.strictSame(
    rows.map(([, code, exit, status, about]) => [code, { status: Number(status), exit: Number(exit), about }]),
    Object.entries(errorTable)
  )
})
