import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { Masking, Snapshot, SnapshotTable } from '../../src/engines/snapshot.js'
import { asSaasctlError } from '../../src/errors.js'
import { readRows } from '../../src/exports/read-rows.js'
import { oddTables } from '../support/odd-tables.js'
import { inside, make, type Planned, type RunningEngine, realEngines } from '../support/real-engines.js'

const bare: Masking = { rules: {}, hashKey: Buffer.alloc(32, 7) }

/** One of every value that is easily lost, on every engine that is here. */
for (const { title, start } of await realEngines()) {
  await t.test(title, async t => {
    const running = await start()
    t.teardown(() => running.stop())
    const { engine, access } = running
    const full = await make(running)
    await fill(running, full)
    const open = (planned: Planned = full, signal = new AbortController().signal) =>
      engine.openSnapshot(access, planned.names.database, planned.as('readonly'), { signal })

    await t.test('a row comes back from an export as it was, whatever is in it', t => backAgain(t, running, open))

    await t.test('JSON and CSV say the same of every value, and tell NULL from an empty text', async t => {
      const snapshot = await open()
      t.teardown(() => snapshot.end())
      for (const table of snapshot.tables) {
        const json = await all(readRows('jsonl', table.columns, await linesOf(snapshot, table, 'jsonl')))
        const csv = await all(readRows('csv', table.columns, await linesOf(snapshot, table, 'csv')))
        t.strictSame(csv, json, table.name)
      }
      const values = snapshot.tables.find(({ name }) => name === 'odd values')
      const lines = values && (await linesOf(snapshot, values, 'jsonl')).toString().split('\n')
      t.match(
        lines?.find(line => line.includes('"label":"empty"')),
        /"body":""/
      )
      t.match(
        lines?.find(line => line.includes('"label":"null"')),
        /"body":null/
      )
    })

    await t.test(
      'what is written after the moment is not in it, and the rows of one table fit those of another',
      async t => {
        const snapshot = await open()
        t.teardown(() => snapshot.end())
        const table = snapshot.tables.find(({ name }) => name === 'plain') as SnapshotTable
        await running.query(full.names.database, full.as('app_a'), `insert into plain (id, body) values (99, 'late')`)
        const lines = (await linesOf(snapshot, table, 'jsonl')).toString()
        t.notMatch(lines, /late/)
        await running.query(full.names.database, full.as('app_a'), 'delete from plain where id = 99')
      }
    )

    await t.test(
      'the schema comes with or without a program of the server’s, and of the same moment where that can be',
      async t => {
        const snapshot = await open()
        t.teardown(() => snapshot.end())
        await running.query(full.names.database, full.as('owner'), 'create table later (id int)')
        const options = {
          signal: new AbortController().signal,
          path: process.env['PATH'] ?? '',
          handle: snapshot.handle
        }
        const sql = await engine.schemaSql(access, full.names.database, full.as('owner'), options)
        t.match(sql, /create table [\w.`]*plain/i)
        t.notMatch(sql, /identity_of|saasctl\.|grant /i, 'nothing of the control plane, and no rights')
        if (snapshot.handle !== null) t.notMatch(sql, /later/)
        const now = await engine.schemaSql(access, full.names.database, full.as('owner'), { ...options, handle: null })
        t.match(now, /later/)
        await running.query(full.names.database, full.as('owner'), 'drop table later')
      }
    )

    await t.test('masked columns are left out, replaced or hashed with a key, in both formats', async t => {
      const snapshot = await open()
      t.teardown(() => snapshot.end())
      const table = snapshot.tables.find(({ name }) => name === 'plain') as SnapshotTable
      for (const format of ['jsonl', 'csv'] as const) {
        const masked = async (rules: Masking['rules'], key = 7) => {
          const masking = { rules, hashKey: Buffer.alloc(32, key) }
          return (await buffer(snapshot.lines(table, format, masking).stream)).toString()
        }
        const hashed = await masked({ body: 'hash' })
        t.match(hashed, /[0-9a-f]{64}/)
        t.notMatch(hashed, /first/)
        t.not(hashed, await masked({ body: 'hash' }, 8), 'the key counts')
        t.equal(hashed, await masked({ body: 'hash' }), 'the same text is the same hash')
        t.match(await masked({ body: 'redact' }), /\[redacted\]/)
        t.notMatch(await masked({ body: 'redact' }), /first/)
        t.notMatch(await masked({ body: 'drop' }), /body|first/)
      }
    })

    await t.test('a reader that gives up ends the session, and two may read at once', async t => {
      const stop = new AbortController()
      const [one, two] = [await open(full, stop.signal), await open()]
      t.teardown(() => two.end())
      stop.abort()
      const table = one.tables[0] as SnapshotTable
      await t.rejects(linesOf(one, table, 'jsonl'))
      t.ok((await linesOf(two, table, 'jsonl')).length > 0)
    })
  })
}

async function backAgain(t: Test, running: RunningEngine, open: (planned?: Planned) => Promise<Snapshot>) {
  const { engine, access } = running
  const copy = await make(running)
  await fill(running, copy)
  const before = await inside(running, copy, owner => owner.fingerprint())
  const snapshot = await open()
  const held: Array<{ table: SnapshotTable; bytes: Buffer }> = []
  for (const table of snapshot.tables) held.push({ table, bytes: await linesOf(snapshot, table, 'jsonl') })
  await snapshot.end()
  t.ok(held.length >= 5, `${held.length} tables`)
  t.ok(snapshot.at instanceof Date)
  const given = held.map(({ table, bytes }) => {
    const columns = table.columns.filter(({ generated }) => !generated)
    return { table, columns, rows: readRows('jsonl', columns, bytes) }
  })
  await running.query(copy.names.database, copy.as('owner'), `delete from plain where id = 2`)
  await inside(running, copy, owner => owner.replaceRows(given, snapshot.sequences))
  const again = await engine.openSnapshot(access, copy.names.database, copy.as('readonly'), {
    signal: new AbortController().signal
  })
  for (const { table, bytes } of held) {
    const same = again.tables.find(({ space, name }) => space === table.space && name === table.name) as SnapshotTable
    t.strictSame(sorted(await linesOf(again, same, 'jsonl')), sorted(bytes), table.name)
  }
  t.strictSame(again.sequences, snapshot.sequences)
  await again.end()
  t.equal(await inside(running, copy, owner => owner.fingerprint()), before, 'keys and triggers are there again')
  const wrong = given.slice(1)
  const error = await inside(running, copy, owner => owner.replaceRows(wrong, {})).catch(asSaasctlError)
  t.match(error, { code: 'INVALID_INPUT' }, 'another schema is refused')
}

async function fill(running: RunningEngine, planned: Planned): Promise<void> {
  const session = await running.hold(planned.names.database, planned.as('owner'))
  for (const sql of oddTables(running.engine.name)) await session.query(sql)
  await session.close()
}

async function linesOf(snapshot: Snapshot, table: SnapshotTable, format: 'jsonl' | 'csv'): Promise<Buffer> {
  return buffer(snapshot.lines(table, format, bare).stream)
}

function sorted(bytes: Buffer): string[] {
  return bytes.toString().split('\n').sort()
}

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const row of rows) found.push(row)
  return found
}
