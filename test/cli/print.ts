import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import type { Output } from '../../cli/flags.js'
import { Print } from '../../cli/print.js'
import { Progress } from '../../cli/progress.js'
import { fit, oneLine, plain, widthOf } from '../../cli/text.js'

/** A stream that remembers; with columns it says that it is a terminal. */
function stream(columns?: number): NodeJS.WriteStream & { said(): string } {
  const sink = new PassThrough()
  const said = () => String(sink.read() ?? '')
  return Object.assign(sink, { isTTY: columns !== undefined, columns, said }) as unknown as NodeJS.WriteStream & {
    said(): string
  }
}

const print = (output: Output, columns?: number) => {
  const to = stream(columns)
  return { to: new Print(output, to), said: to.said }
}

const rows = [
  {
    slug: 'acme',
    createdAt: new Date('2026-01-02T03:04:59.999Z'),
    labels: { tier: 'gold', eu: '' },
    active: true,
    bytes: null
  },
  { slug: 'a-much-longer-name', createdAt: new Date('2026-12-31T23:59:00Z'), labels: {}, active: false, bytes: 0 }
]

t.test('a table has a title, aligned columns, UTC to the minute, and a dash for nothing', async t => {
  const { to, said } = print('table')
  to.list(rows, ['slug', 'createdAt', 'labels', 'active', 'bytes'])
  t.equal(
    said(),
    [
      'SLUG                CREATED            LABELS          ACTIVE  BYTES',
      'acme                2026-01-02T03:04Z  tier=gold,eu=-  yes     -',
      'a-much-longer-name  2026-12-31T23:59Z  -               no      0',
      ''
    ].join('\n')
  )
})

t.test('an empty list is no line of a table, [] in JSON and nothing in NDJSON', async t => {
  const said = (['table', 'json', 'ndjson'] as const).map(output => {
    const { to, said } = print(output)
    to.list([] as typeof rows, ['slug'])
    return said()
  })
  t.strictSame(said, ['', '[]\n', ''])
})

t.test('JSON has everything, whatever the columns; NDJSON has it on one line each', async t => {
  const json = print('json')
  json.to.list(rows, ['slug'])
  t.strictSame(JSON.parse(json.said()), JSON.parse(JSON.stringify(rows)))
  const ndjson = print('ndjson')
  ndjson.to.list(rows, ['slug'])
  t.strictSame(
    ndjson
      .said()
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line)),
    JSON.parse(JSON.stringify(rows))
  )
})

t.test('on a terminal a table fits its width, and is whole where nobody looks', async t => {
  const wide = [{ slug: 'acme', message: 'x'.repeat(300) }]
  const narrow = print('table', 40)
  narrow.to.list(wide, ['slug', 'message'])
  t.strictSame(
    narrow
      .said()
      .split('\n')
      .map(line => widthOf(line)),
    [13, 40, 0]
  )
  const piped = print('table')
  piped.to.list(wide, ['slug', 'message'])
  t.match(piped.said(), 'x'.repeat(300))
})

t.test('what a customer typed cannot move the cursor, colour the screen or break a line of the table', async t => {
  const { to, said } = print('table')
  to.list([{ name: 'a\u001b[2Jb\nc\u202ed\u0007', n: 1 }], ['name', 'n'])
  t.match(said(), /^a\\u001b\[2Jb\\nc\\u202ed\\u0007 {2}1$/m)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      t.notMatch(plain(text), /(?!\n)[\p{Cc}\p{Cf}]/u)
      t.notMatch(oneLine(text), /\n/)
    })
  )
})

t.test('wide characters take two columns, marks none, and nothing is cut beyond the room there is', async t => {
  t.equal(widthOf('株式会社'), 8)
  t.equal(widthOf('e\u0301'), 1)
  t.equal(fit('株式会社', 5), '株式…')
  t.equal(fit('acme', 4), 'acme')
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 2, max: 40 }),
      (text, width) => widthOf(fit(text, width)) <= width
    )
  )
})

t.test(
  'progress is plain lines in a file, a live line on a terminal, objects for programs, nothing when quiet',
  async t => {
    const line = { operation: 'id', kind: 'tenant.create', step: 'copy template' }
    const told = (output: Output, columns: number | undefined, flags: { quiet?: boolean; verbose?: boolean } = {}) => {
      const to = stream(columns)
      const progress = new Progress({ output, quiet: false, verbose: false, ...flags }, to)
      progress.step(undefined, { ...line, moment: 'begun' })
      progress.step('acme', { ...line, moment: 'note', note: 'half\nway' })
      progress.step(undefined, { ...line, moment: 'done' })
      progress.notice('Hello.')
      progress.next('saasctl version')
      progress.clear()
      return to.said()
    }
    t.equal(
      told('table', undefined),
      'tenant.create: copy template\nacme: copy template: half\\nway\nHello.\n→ saasctl version\n'
    )
    t.match(told('table', undefined, { verbose: true }), 'tenant.create: copy template: done\n')
    t.equal(told('table', undefined, { quiet: true }), '')
    t.equal(
      told('table', 80),
      '… tenant.create: copy template\r\u001b[K… acme: copy template: half\\nway\r\u001b[K✓ tenant.create: copy template\nHello.\n→ saasctl version\n'
    )
    const objects = told('json', 80)
      .trimEnd()
      .split('\n')
      .map(text => JSON.parse(text))
    t.match(objects, [
      { moment: 'begun' },
      { tenant: 'acme', note: 'half\nway' },
      { moment: 'done' },
      { notice: 'Hello.' }
    ])
    t.equal(objects.length, 4, 'programs know themselves what comes next')
  }
)
