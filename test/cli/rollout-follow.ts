import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { bar, Pace, span } from '../../cli/bar.js'
import { attribute, text } from '../../cli/junit.js'
import { asTenantOwner } from '../support/as-owner.js'
import { startWorkerProcess } from '../support/child.js'
import { cli, haveTerminal } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

t.test('whatever a server says, its words in XML are those words and nothing else', async t => {
  t.equal(text('a < b && "c"'), 'a &lt; b &amp;&amp; &quot;c&quot;')
  t.equal(attribute('one\n\ttwo\r'), 'one&#10;&#9;two&#13;')
  t.equal(text('\u0000\u001b[31m\ud800 \u{1f600}\uffff'), '\ufffd\ufffd[31m\ufffd \u{1f600}\ufffd')
  const back = (xml: string) =>
    xml.replace(/&(#\d+|\w+);/g, (_, name: string) =>
      name.startsWith('#')
        ? String.fromCharCode(Number(name.slice(1)))
        : ({ lt: '<', gt: '>', amp: '&', quot: '"' }[name] ?? '?')
    )
  const allowed = fc.string({ unit: 'grapheme' }).filter(value => text(value).includes('\ufffd') === false)
  fc.assert(fc.property(allowed, value => back(attribute(value)) === value && !/[<>"\n\t\r]/.test(attribute(value))))
})

t.test('a bar fits its terminal, and says how long it will take when it knows', async t => {
  const half = { label: 'wave 50%', over: 5, all: 10, failed: 1, etaSeconds: 240, columns: 80 }
  t.match(bar(half), /^wave 50% ━{19,20}─{20} 5 of 10, 1 failed, 4 min left$/)
  t.equal(bar({ ...half, columns: 20 }), 'wave 50% 5 of 10, …')
  t.match(bar({ ...half, over: 0, failed: 0, etaSeconds: undefined }), /─ 0 of 10$/)
  t.strictSame([span(5), span(240), span(11_100)], ['5 s', '4 min', '3 h 5 min'])
  const pace = new Pace()
  pace.see(0, 0)
  t.equal(pace.eta(10), undefined)
  pace.see(5, 1_000)
  t.equal(pace.eta(10), 2)
  pace.see(0, 2_000)
  t.equal(pace.eta(10), undefined, 'another wave has a pace of its own')
})

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run, json, start, onTerminal, folder } = await cli(t, plane.env)
  const slugs = ['acme', 'globex', 'initech']
  for (const slug of slugs) await json(['tenant', 'create', slug])
  const all = ['--template', 'tiny', '--all']
  const slow = { up: 'select pg_sleep(0.4);', down: 'select 1;' }
  const planned = async (...more: string[]) => (await json<{ id: string }>(['rollout', 'plan', ...all, ...more])).id
  const statusOf = async (id: string) => (await json<{ status: string }>(['rollout', 'show', id])).status
  /** Makes the tenant's next migration fail: what it would create is there already. */
  const poison = (slug: string, table: string, verb = 'create') =>
    asTenantOwner(plane.saasctl, slug, client =>
      client.query(`${verb} table "${table}"${verb === 'drop' ? '' : ' ()'}`)
    )

  await t.test('who failed, why and what to do next are in a report for people, for programs and for CI', async t => {
    const table = 'a<b>&"c'
    await poison('globex', table.replaceAll('"', '""'))
    await tiny.grow({ up: `create table "${table.replaceAll('"', '""')}" ();`, down: 'select 1;' })
    const id = await planned('--max-percent', '100')
    t.match(await run(['rollout', 'start', id, '--report', 'no/such/folder/r.json']), {
      code: 2,
      stderr: /The report cannot be written to no\/such\/folder\/r\.json/
    })
    t.equal(await statusOf(id), 'planned', 'then nothing was begun')
    const failed = await run(['rollout', 'start', id, '--report', 'r.json', '--junit', 'r.xml', '-o', 'json'])
    t.equal(failed.code, 3, failed.stderr)
    t.match(JSON.parse(failed.stderr.trim().split('\n').at(-1) ?? ''), {
      code: 'SOME_FAILED',
      data: { failed: ['globex'] }
    })
    const report = JSON.parse(await readFile(join(folder, 'r.json'), 'utf8'))
    t.strictSame(JSON.parse(failed.stdout), report)
    t.match(report, {
      id,
      status: 'failed',
      totals: { done: 2, failed: 1, skipped: 0, left: 0 },
      failures: [
        {
          slug: 'globex',
          server: 'main',
          code: 'MIGRATION_FAILED',
          reason: /already exists/,
          next: `rollout retry ${id}`
        }
      ]
    })
    t.equal(report.failures.length, 1)
    const xml = await readFile(join(folder, 'r.xml'), 'utf8')
    t.match(xml, /<testsuite name="rollout [-0-9a-f]+" tests="3" failures="1" skipped="0" errors="0" time="[\d.]+"/)
    t.strictSame(
      [...xml.matchAll(/<testcase [^>]*name="(\w+)"/g)].map(found => found[1]),
      slugs
    )
    t.match(xml, /<failure message="[^"]*relation &quot;a&lt;b&gt;&amp;&quot;c&quot; already exists/)
    t.match(xml, new RegExp(`saasctl rollout retry ${id}`))
    t.notMatch((await readdir(folder)).join(), /tmp/, 'and nothing half-written is left')
    await poison('globex', table.replaceAll('"', '""'), 'drop')
    t.match(await run(['rollout', 'retry', id, '--junit', 'r.xml']), { code: 0, stderr: /wave 100%: 3 of 3/ })
    t.match(await readFile(join(folder, 'r.xml'), 'utf8'), /failures="0"/)
    t.strictSame(await json(['operation', 'list', '--open']), [], 'the old template is dropped, too')
  })

  await t.test('with -o ndjson every event is a line on stdout, and the report is the last', async t => {
    await tiny.grow()
    const { code, stdout } = await run(['rollout', 'start', ...all, '--canary', '1', '--yes', '-o', 'ndjson'])
    t.equal(code, 0)
    const events = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    t.match(events.at(-1), { event: 'report', status: 'succeeded', totals: { done: 3 } })
    for (const name of ['canary', '100%']) {
      const last = events.filter(({ event, name: wave }) => event === 'wave' && wave === name).at(-1)
      t.match(last, { pending: 0, running: 0, failed: 0, rollout: /^[-0-9a-f]{36}$/, at: /^20/ }, name)
    }
  })

  await t.test('on a terminal there is a bar', { skip: !haveTerminal && 'no terminal here' }, async t => {
    await tiny.grow(slow)
    const { code, stdout } = await onTerminal(['rollout', 'start', ...all, '--per-server', '1', '--yes'])
    t.equal(code, 0, stdout)
    t.match(stdout, /wave 100% ━+─+ [12] of 3/)
    t.match(stdout, /wave 100%: 3 of 3/)
  })

  await t.test('without a worker Ctrl-C pauses it when what has begun is finished; resume goes on', async t => {
    await tiny.grow(slow)
    const id = await planned('--per-server', '1')
    const started = start(['rollout', 'start', id])
    await started.says(/wave 100%: 0 of 3/)
    started.child.kill('SIGINT')
    const { code, stderr } = await started.ended
    t.equal(code, 3, stderr)
    t.match(stderr, /Leaving\. With a worker the rollout goes on.*stands still\. Paused by/s)
    t.match(await json(['rollout', 'status']), [{ id, status: 'paused', lanes: [] }], 'and it can be found again')
    t.equal((await run(['rollout', 'resume', id])).code, 0)
    t.equal(await statusOf(id), 'succeeded')
  })

  await t.test('a Ctrl-C that comes before anybody follows does not leave it to nobody', async t => {
    await tiny.grow()
    const id = await planned()
    const started = start(['rollout', 'start', id])
    await started.says(/has started/)
    started.child.kill('SIGINT')
    t.match(await started.ended, { code: 3, stderr: /stands still\. Paused by/ })
    t.equal((await run(['rollout', 'resume', id])).code, 0)
  })

  await t.test('with a worker it goes on without whoever started it, and watch comes back to it', async t => {
    const worker = startWorkerProcess(plane.env)
    t.teardown(() => worker.kill('SIGKILL'))
    await worker.says(({ log }) => /is ready/.test(log?.message ?? ''))
    await tiny.grow({ up: 'select pg_sleep(1);', down: 'select 1;' })
    const id = await planned('--per-server', '1')
    const started = start(['rollout', 'start', id])
    await started.says(/wave 100%: 0 of 3/)
    started.child.kill('SIGINT')
    const { code, stderr } = await started.ended
    t.equal(code, 7, stderr)
    t.match(stderr, new RegExp(`Rollout ${id} goes on\\..*Come back to it with "saasctl rollout watch ${id}"`, 's'))
    t.match(await json(['rollout', 'status', id]), [{ id, status: 'running', lanes: [{ server: 'main' }] }])
    const watched = await run(['rollout', 'watch', id])
    t.equal(watched.code, 0, watched.stderr)
    t.equal(await statusOf(id), 'succeeded')
    worker.kill('SIGTERM')
    await worker.ended
    await eventually(
      () => plane.saasctl.catalog.query('select from saasctl.worker'),
      rows => rows.length === 0
    )
  })

  await t.test('whoever follows one that is aborted by another hears of it', async t => {
    await tiny.grow()
    const id = await planned('--canary', '1', '--soak', '10m')
    const started = start(['rollout', 'start', id])
    await started.says(/wave canary: 1 of 1/)
    t.equal((await run(['rollout', 'abort', id])).code, 0)
    t.match(await started.ended, { code: 3, stderr: /was aborted\. Aborted by/ })
    t.match(await run(['rollout', 'status', 'nonsense']), { code: 5, stderr: /no rollout "nonsense"/ })
  })
}
