import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { beginDump, children, dumpOf, lookInto, neverAborted, play, restoreOf } from '../support/dump-and-restore.js'
import { eventually } from '../support/eventually.js'
import { oddTables } from '../support/odd-tables.js'
import { drop, make, migrate, type Planned, plan, type RunningEngine, realEngines } from '../support/real-engines.js'

const path = process.env['PATH'] ?? ''

const dumpers = (found: Awaited<ReturnType<typeof children>>) =>
  found.filter(({ args }) => /pg_dump|mariadb-dump|mysqldump/.test(args))

/** Where large objects cannot be carried there is none to be read. */
const kept = ({ facts }: { facts: { rows: object } }, sql: string) =>
  !sql.includes('lo_get') || 'pg_catalog.pg_largeobject_metadata' in facts.rows

/** The same sentences for every engine that is found here. */
for (const { title, start } of await realEngines()) {
  await t.test(title, async t => {
    const running = await start()
    t.teardown(() => running.stop())
    const full = await make(running)
    await migrate(running, full, [running.sql.notes, running.sql.notesPinned, running.sql.everything])
    for (const sql of running.sql.useEverything) await running.query(full.names.database, full.as('app_a'), sql)
    const hasTool = await dumpOf(running, full).then(
      () => true,
      () => false
    )
    if (!hasTool) await t.test('without a program that fits', t => refusals(t, running, full))
    await t.test('round trips', t => roundTrips(t, running, full))
    await t.test('bad luck', t => badLuck(t, running, full, hasTool))
    await t.test('bad input', t => badInput(t, running, full))
  })
}

/** Where no dump program is new enough, PostgreSQL is dumped all the same, but for what that cannot carry. */
async function refusals(t: Test, running: RunningEngine, full: Planned) {
  await t.test('what cannot be carried is refused by its name, with the package that can', async t => {
    await t.rejects(beginDump(running, full), {
      code: 'TOOL_MISSING',
      message: /large objects \(1\)/,
      hint: /postgresql-client-\d+/
    })
  })
  await running.query(full.names.database, full.as('owner'), 'select lo_unlink(4242)')
}

async function roundTrips(t: Test, running: RunningEngine, full: Planned) {
  await t.test('a restored database has every row, object, right and migration', async t => {
    const dumped = await dumpOf(running, full)
    t.match(dumped.facts, { serverVersion: /^\d+\.\d+/, tool: /dump/ })
    const restored = await restoreOf(running, dumped)
    t.teardown(() => drop(running, restored))
    const found = await lookInto(running, restored)
    t.strictSame(found.rows, dumped.facts.rows)
    t.equal(found.fingerprint, dumped.facts.fingerprint)
    t.strictSame(found.migrations, ['1_notes', '2_notes_pinned', '5_everything'])
    for (const sql of running.sql.useEverything.filter(sql => kept(dumped, sql))) {
      await t.resolves(running.query(restored.names.database, restored.as('app_a'), sql), sql)
    }
    for (const sql of running.sql.forbiddenToApp(restored.names.database)) {
      await t.rejects(running.query(restored.names.database, restored.as('app_a'), sql), sql)
    }
    for (const sql of running.sql.forbiddenToReadonly(restored.names.database)) {
      await t.rejects(running.query(restored.names.database, restored.as('readonly'), sql), sql)
    }
    await running.engine.identify(running.access, restored.names.database, restored.as('app_a'), restored.id)
  })

  await t.test('a row comes back as it was, whatever is in it', async t => {
    const odd = await make(running)
    t.teardown(() => drop(running, odd))
    const session = await running.hold(odd.names.database, odd.as('owner'))
    for (const sql of oddTables(running.engine.name)) await session.query(sql)
    await session.close()
    const dumped = await dumpOf(running, odd)
    const restored = await restoreOf(running, dumped)
    t.teardown(() => drop(running, restored))
    t.strictSame(await valuesIn(running, restored), await valuesIn(running, odd))
    const found = await lookInto(running, restored)
    t.strictSame(found.rows, dumped.facts.rows)
    t.equal(found.fingerprint, dumped.facts.fingerprint)
  })

  await t.test('a database without a table is restored to one without a table', async t => {
    const empty = await make(running)
    t.teardown(() => drop(running, empty))
    const dumped = await dumpOf(running, empty)
    t.strictSame(dumped.facts.rows, {})
    const restored = await restoreOf(running, dumped)
    t.teardown(() => drop(running, restored))
    t.strictSame(await lookInto(running, restored), { ...(empty && (await lookInto(running, empty))) })
  })

  await t.test(
    'names and texts in any script, with quotes, line ends and semicolons, come back as they were',
    async t => {
      const odd = await make(running)
      t.teardown(() => drop(running, odd))
      const texts = [
        `it's "quoted" \`here\``,
        'a;\n-- b\n);\r\n(',
        'back\\slash\\',
        'Größe 你好 🐘',
        '',
        '\\.',
        '\t',
        '%s$$'
      ]
      const quote = (name: string) => (running.engine.defaultPort === 5432 ? `"${name}"` : `\`${name}\``)
      const table = quote('Größe; 表 (1)')
      await running.query(
        odd.names.database,
        odd.as('owner'),
        `create table ${table} (id int primary key, ${quote('naïve')} text)`
      )
      for (const [index, text] of texts.entries()) {
        const hex = `0x${Buffer.from(text).toString('hex')}`
        const literal =
          running.engine.defaultPort === 5432
            ? `convert_from('\\x${hex.slice(2)}', 'UTF8')`
            : text === ''
              ? `''`
              : `_utf8mb4 ${hex}`
        await running.query(odd.names.database, odd.as('owner'), `insert into ${table} values (${index}, ${literal})`)
      }
      const restored = await restoreOf(running, await dumpOf(running, odd))
      t.teardown(() => drop(running, restored))
      const rows = await running.query(
        restored.names.database,
        restored.as('app_a'),
        `select ${quote('naïve')} as text from ${table} order by id`
      )
      t.strictSame(
        rows.map(({ text }) => text),
        texts
      )
    }
  )
}

async function badLuck(t: Test, running: RunningEngine, full: Planned, hasTool: boolean) {
  await t.test('what is written while a dump is under way is in it whole or not at all', async t => {
    const busy = await make(running)
    t.teardown(() => drop(running, busy))
    await migrate(running, busy, [running.sql.notes])
    let writing = true
    const writer = (async () => {
      const held = await running.hold(busy.names.database, busy.as('app_a'))
      while (writing) await held.query(`insert into notes (body) values ('one'), ('two'), ('three')`)
      await held.close()
    })()
    try {
      await eventually(
        async () => (await lookInto(running, busy)).rows,
        rows => (Object.values(rows)[0] ?? 0) > 0
      )
      const dumped = await dumpOf(running, busy)
      const restored = await restoreOf(running, dumped)
      t.teardown(() => drop(running, restored))
      const { rows } = await lookInto(running, restored)
      t.strictSame(rows, dumped.facts.rows)
      const [count = 0] = Object.values(rows)
      t.ok(count > 0 && count % 3 === 0, `${count} rows are whole transactions`)
    } finally {
      writing = false
      await writer
    }
  })

  await t.test('a dump that is cancelled or given up ends its program and its sessions', async t => {
    const cancel = new AbortController()
    const large = await largeDatabase(running)
    t.teardown(() => drop(running, large))
    const cancelled = await beginDump(running, large, { path, signal: cancel.signal })
    cancelled.stream.on('error', () => {})
    cancel.abort()
    await t.rejects(cancelled.facts, { code: 'CANCELLED' })
    const givenUp = await beginDump(running, large)
    givenUp.stream.destroy()
    await t.rejects(givenUp.facts, { code: 'CANCELLED' })
    await eventually(
      async () => dumpers(await children()),
      left => left.length === 0
    )
    const aborted = beginDump(running, full, { path, signal: AbortSignal.abort() })
    await t.rejects(aborted, 'and one that is cancelled before does not begin')
    const soon = new AbortController()
    const begun = beginDump(running, full, { path, signal: soon.signal })
    soon.abort()
    const read = begun.then(({ stream, facts }) => {
      stream.on('error', () => {}).resume()
      return facts
    })
    await t.rejects(read, { code: 'CANCELLED' }, 'nor does one go on that is cancelled while its program is looked for')
  })

  await t.test('a killed program is a clear error, and its password was nowhere to be seen', async t => {
    if (!hasTool) return
    const large = await largeDatabase(running)
    t.teardown(() => drop(running, large))
    const dump = await beginDump(running, large)
    const [program] = dumpers(await children())
    if (!program) throw new Error('No program runs.')
    t.notOk(program.args.includes(large.as('owner').password.reveal()))
    process.kill(program.pid, 'SIGKILL')
    await t.rejects(readAll(dump), { code: 'SERVER_FAILED', message: /SIGKILL/, retryable: true })
    await t.rejects(dump.facts, { code: 'SERVER_FAILED' })
  })

  await t.test('a server that restarts while it is dumped is an error that passes', async t => {
    const large = await largeDatabase(running)
    // More than the buffers of a system hold between server and reader.
    for (const _ of 'twice')
      await running.query(
        large.names.database,
        large.as('app_a'),
        'insert into notes (body) select body from notes limit 800'
      )
    const dump = await beginDump(running, large)
    const facts = t.rejects(dump.facts, { code: /^SERVER_/ })
    const rows = await exportOf(running, large)
    await rows.next()
    await running.restart()
    await t.rejects(readAll(dump), { code: /^SERVER_/, retryable: true })
    await t.rejects(readAll({ stream: rows }), { code: /^SERVER_/, retryable: true }, 'and so are rows half read')
    await facts
    t.ok((await dumpOf(running, full)).bytes.length > 0, 'and the next one succeeds')
    await drop(running, large)
  })
}

/** Every value, to its last bit, as an export says it. */
async function valuesIn({ engine, access }: RunningEngine, { names, as }: Planned): Promise<Record<string, string[]>> {
  const signal = neverAborted()
  const snapshot = await engine.openSnapshot(access, names.database, as('readonly'), { signal })
  try {
    const found: Record<string, string[]> = {}
    for (const table of snapshot.tables) {
      const lines = snapshot.lines(table, 'jsonl', { rules: {}, hashKey: Buffer.alloc(0) })
      found[table.name] = (await text(lines.stream)).split('\n').sort()
    }
    return found
  } finally {
    await snapshot.end()
  }
}

/** The rows of its one table, on their way out. */
async function exportOf({ engine, access }: RunningEngine, { names, as }: Planned): Promise<AsyncGenerator<Buffer>> {
  const snapshot = await engine.openSnapshot(access, names.database, as('readonly'), { signal: neverAborted() })
  const [table] = snapshot.tables
  if (!table) throw new Error('There is no table.')
  const { stream } = snapshot.lines(table, 'jsonl', { rules: {}, hashKey: Buffer.alloc(0) })
  return (async function* () {
    yield* stream
  })()
}

/** More than fits into the pipes between a program and us, so that it is still at work when it is looked at. */
async function largeDatabase(running: RunningEngine): Promise<Planned> {
  const large = await make(running)
  await migrate(running, large, [running.sql.notes])
  const text = () => `('${randomBytes(6_000).toString('base64')}')`
  for (let batch = 0; batch < 8; batch += 1) {
    const rows = Array.from({ length: 100 }, text).join(', ')
    await running.query(large.names.database, large.as('app_a'), `insert into notes (body) values ${rows}`)
  }
  return large
}

async function readAll({ stream }: { stream: AsyncIterable<Buffer> }): Promise<void> {
  for await (const chunk of stream) chunk.subarray(0)
}

async function badInput(t: Test, running: RunningEngine, full: Planned) {
  const dumped = await dumpOf(running, full)

  await t.test('a dump that was cut anywhere is refused', async t => {
    for (const part of [0, 0.01, 0.3, 0.6, 0.97]) {
      const target = await make(running)
      t.teardown(() => drop(running, target))
      await t.rejects(
        play(running, target, dumped.bytes.subarray(0, Math.floor(dumped.bytes.length * part)), dumped.facts.format),
        {
          name: 'SaasctlError'
        }
      )
    }
  })

  await t.test('what is no dump, or one of another engine, is refused in one sentence', async t => {
    const target = await make(running)
    t.teardown(() => drop(running, target))
    await t.rejects(play(running, target, Buffer.from('no dump at all; \n'.repeat(99)), dumped.facts.format), {
      name: 'SaasctlError',
      message: /^The dump cannot be read: [^\n]*\.$/
    })
    await t.rejects(play(running, target, dumped.bytes, 'another'), { code: 'INVALID_INPUT' })
  })

  await t.test('a database that is not there is not dumped', async t => {
    const nobody = plan(running.engine)
    await t.rejects(beginDump(running, nobody, { path, signal: neverAborted() }), { code: /^SERVER_/ })
  })
}
