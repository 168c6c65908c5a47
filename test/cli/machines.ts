import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { cli, main } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run, start, json, folder } = await cli(t, plane.env)
  await json(['tenant', 'create', 'acme'])

  const looks = [
    ['tenant', 'list'],
    ['tenant', 'show', 'acme'],
    ['tenant', 'migrations', 'acme'],
    ['tenant', 'dsn', 'acme'],
    ['tenant', 'create', 'other', '--dry-run'],
    ['server', 'list'],
    ['server', 'show', 'main'],
    ['server', 'check', 'main'],
    ['template', 'list'],
    ['template', 'show', 'tiny'],
    ['plan', 'list'],
    ['plan', 'show', 'small'],
    ['operation', 'list'],
    ['catalog', 'status'],
    ['key', 'status'],
    ['config', 'show'],
    ['migration', 'check'],
    ['doctor'],
    ['dev', 'status'],
    ['version']
  ]

  t.test('stdout is data alone: JSON is one value, NDJSON one object a line, each of them the same', async t => {
    for (const words of looks) {
      const name = words.join(' ')
      const [whole, lines] = await Promise.all([run([...words, '-o', 'json']), run([...words, '-o', 'ndjson'])])
      t.equal(whole.code, 0, `${name}: ${whole.stderr}`)
      const value: unknown = JSON.parse(whole.stdout)
      const items = lines.stdout
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line) as unknown)
      t.equal(items.length, Array.isArray(value) ? value.length : 1, name)
      for (const line of whole.stderr.split('\n').filter(Boolean)) t.type(JSON.parse(line), 'object', 'stderr too')
      t.notMatch(whole.stdout, /"(controlPassword|password|sealed)"/, 'and no password')
    }
  })

  t.test('-q leaves stderr empty when nothing went wrong', async t => {
    for (const words of [['tenant', 'list'], ['tenant', 'suspend', 'acme'], ['tenant', 'resume', 'acme'], ['doctor']]) {
      t.match(await run([...words, '-q']), { code: 0, stderr: '' }, words.join(' '))
    }
  })

  t.test('an error is one object on one line of stderr, with code, message and hint; stdout is empty', async t => {
    for (const output of ['json', 'ndjson']) {
      const { code, stdout, stderr } = await run(['tenant', 'show', 'nobody', '-o', output])
      t.strictSame([code, stdout], [5, ''])
      t.strictSame(JSON.parse(stderr), {
        code: 'TENANT_NOT_FOUND',
        message: 'There is no tenant "nobody".',
        hint: 'List them with "saasctl tenant list".'
      })
    }
    t.match(JSON.parse((await run(['tenat', '-o', 'json'])).stderr), { code: 'USAGE', hint: 'Did you mean "tenant"?' })
    t.match(JSON.parse((await run(['tenant', 'list', '-o', 'json', '--catalog', 'x'])).stderr), {
      code: 'CONFIG_INVALID'
    })
    const failed = await run(['tenant', 'create', 'broken', '-o', 'json'], {
      env: { SAASCTL_FAILPOINT: 'tenant.create/hand over:acted=fail' }
    })
    t.equal(failed.code, 1)
    const last = JSON.parse(failed.stderr.trim().split('\n').at(-1) ?? '') as { operationId: string }
    t.match(last, { code: 'FAILED', operationId: /^[0-9a-f-]{36}$/ })
    t.match(await json(['operation', 'show', last.operationId]), { status: 'failed', error: { code: 'FAILED' } })
  })

  t.test('a failure names its operation to people, and where it came from with -v', async t => {
    const env = { SAASCTL_FAILPOINT: 'tenant.create/hand over:acted=fail' }
    const { stderr } = await run(['tenant', 'create', 'broken'], { env })
    t.match(stderr, /error: Failpoint .*\n→ See its steps with "saasctl operation show [0-9a-f-]{36}"\.\n$/)
    t.notMatch(stderr, / {4}at /)
    t.match((await run(['tenant', 'show', 'nobody', '-v'])).stderr, /code: TENANT_NOT_FOUND\n[\s\S]* {4}at /)
  })

  t.test('exit codes say what kind of thing happened', async t => {
    const cases: Array<[code: number, args: string[], env?: Record<string, string>]> = [
      [0, ['tenant', 'list']],
      [1, ['tenant', 'list'], { SAASCTL_CATALOG_URL: 'postgres://nobody@127.0.0.1:1/saasctl' }],
      [2, ['tenant', 'create', 'No_Slug']],
      [2, ['tenant', 'create', 'admin']],
      [2, ['tenant', 'list'], { SAASCTL_LEASE: 'soon' }],
      [4, ['tenant', 'list'], { SAASCTL_CATALOG_PASSWORD: 'wrong' }],
      [5, ['tenant', 'dsn', 'nobody']],
      [5, ['tenant', 'create', 'other', '--plan', 'gigantic']],
      [5, ['tenant', 'create', 'other', '--template', 'nothing']],
      [5, ['tenant', 'create', 'other', '--server', 'nowhere']],
      [5, ['server', 'check', 'nowhere']],
      [5, ['operation', 'show', 'not-an-id']],
      [5, ['operation', 'watch', '01a20c53-3010-7300-beb1-cf92b8b30a9c']],
      [5, ['plan', 'show', 'gigantic']],
      [6, ['tenant', 'create', 'acme']],
      [6, ['tenant', 'undelete', 'acme']],
      [6, ['tenant', 'create', 'other', '--region', 'mars']]
    ]
    for (const [code, args, env = {}] of cases) {
      const ran = await run(args, { env })
      t.equal(ran.code, code, `${args.join(' ')}: ${ran.stderr}`)
      t.match(ran.stderr, code === 0 ? /^/ : /^error: .+\.\n→ .+/, 'one sentence, and what to do next')
    }
  })

  t.test('a check that finds something exits 8, and says what would mend it', async t => {
    await plane.catalogAsSuperuser(client => client.query('alter role saasctl_server nocreatedb'))
    const { code, stdout, stderr } = await run(['server', 'check', 'main'])
    await plane.catalogAsSuperuser(client => client.query('alter role saasctl_server createdb'))
    t.equal(code, 8, stderr)
    t.match(stdout, /^error +.*CREATEDB.*\n +→ ALTER ROLE .*CREATEDB/im)
    t.match(stderr, /error: Found 1 error and \d+ warnings? in server main\./)
  })

  t.test('flags come from SAASCTL_ variables, an argument beats them, and "no" leaves a switch off', async t => {
    const out = async (env: Record<string, string>, ...flags: string[]) =>
      (await run(['tenant', 'list', ...flags], { env })).stdout
    t.match(JSON.parse(await out({ SAASCTL_OUTPUT: 'json' })), [{ slug: 'acme' }])
    t.match(await out({ SAASCTL_OUTPUT: 'json' }, '-o', 'table'), /^SLUG/)
    t.equal(await out({ SAASCTL_STATUS: 'purged' }), '')
    t.match(await run(['tenant', 'list', '--plan', 'large'], { env: { SAASCTL_QUIET: 'yes' } }), { stderr: '' })
    t.match(
      (await run(['tenant', 'list', '--plan', 'large'], { env: { SAASCTL_QUIET: 'no' } })).stderr,
      /No tenant fits/
    )
    t.equal((await run(['tenant', 'list'], { env: { SAASCTL_OUTPUT: 'xml' } })).code, 2)
  })

  t.test('lists go page by page: tenants in the order of slugs, all else with the newest first', async t => {
    for (const slug of ['bravo', 'charlie']) await json(['tenant', 'create', slug])
    const first = await run(['tenant', 'list', '--limit', '2'])
    t.match(first.stdout, /^acme [^\n]*\nbravo [^\n]*\n$/m)
    t.match(first.stderr, /go on with --after bravo\./)
    t.match(await json(['tenant', 'list', '--after', 'bravo']), [{ slug: 'charlie' }])
    const all = (await run(['tenants', 'ls', '-o', 'ndjson'])).stdout
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as { slug: string }).slug)
    t.strictSame(all, ['acme', 'bravo', 'charlie'])
    const newest = await run(['operation', 'list', '--limit', '1'])
    const [, id = ''] = /→ There may be more: --before (\S+)\n/.exec(newest.stderr) ?? []
    const older = await json<Array<{ id: string }>>(['operation', 'list', '--before', id])
    t.ok(older.length > 1 && older.every(one => one.id < id), 'the next page begins where this one ended')
  })

  t.test('a reader that stops reading is no failure, neither of data nor of messages', async t => {
    const program = `'${process.execPath}' '${main}'`
    const bash = (line: string) =>
      spawnSync('bash', ['-c', line], { cwd: folder, env: { ...plane.env }, encoding: 'utf8' })
    const read = bash(`${program} tenant list -o json | head -c 1; exit "\${PIPESTATUS[0]}"`)
    t.equal(read.status, 0, read.stderr)
    const said = bash(`${program} tenant show nobody -v 2>&1 >/dev/null | true; exit "\${PIPESTATUS[0]}"`)
    t.equal(said.status, 5)
  })

  t.test('--no-wait comes back at once, says that nobody works it, and a worker does', async t => {
    const asked = await run(['tenant', 'create', 'delta', '--no-wait', '-v'])
    t.equal(asked.code, 0, asked.stderr)
    t.match(asked.stdout, /^delta +creating/m)
    t.match(asked.stderr, /No worker is running: start one with "saasctl worker"/)
    const id = /operation resume ([0-9a-f-]{36})/.exec(asked.stderr)?.[1] ?? ''
    t.match(await run(['operation', 'list', '--open', '--tenant', 'delta']), {
      stdout: new RegExp(id),
      stderr: /left unfinished/
    })
    const worker = start(['worker', '--concurrency', '1'])
    await worker.says(/is ready/)
    t.match(await json(['operation', 'watch', id, '--timeout', '30s']), { status: 'succeeded' })
    const other = await json<{ operation: { id: string } }>(['tenant', 'suspend', 'delta', '--no-wait'])
    t.match(
      await json(['operation', 'watch', other.operation.id]),
      { status: 'succeeded' },
      'with a worker nothing is said'
    )
    worker.child.kill('SIGTERM')
    const { code, stdout, stderr } = await worker.ended
    t.strictSame([code, stdout], [0, ''], stderr)
    for (const line of stderr.trim().split('\n'))
      t.match(JSON.parse(line), { at: String, level: 'info', message: String })
  })

  t.test('what takes longer than --timeout goes on; the command exits 7 and says how to follow it', async t => {
    await json(['tenant', 'create', 'echo', '--no-wait'])
    const [open] = await json<Array<{ id: string }>>(['operation', 'list', '--open'])
    const holder = start(['operation', 'watch', open?.id ?? ''], {
      env: { SAASCTL_LEASE: '30s', SAASCTL_FAILPOINT: 'tenant.create/make logins:acted=stop' }
    })
    await holder.stopped()
    const { code, stderr } = await run(['operation', 'watch', open?.id ?? '', '--timeout', '100ms'])
    t.equal(code, 7, stderr)
    t.match(stderr, /tenant\.create is still running\.\n→ .*"saasctl operation (watch|resume) /)
    const cancelled = await json(['operation', 'cancel', open?.id ?? ''])
    t.match(cancelled, { cancelRequested: true })
    holder.child.kill('SIGCONT')
    t.equal((await holder.ended).code, 130, 'a cancelled operation is the end of whoever worked it')
  })

  t.test('two programs that ask for the same slug at once: one has it, the other is told', async t => {
    const codes = await Promise.all([1, 2].map(async () => (await run(['tenant', 'create', 'race'])).code))
    t.strictSame(codes.sort(), [0, 6])
  })

  t.test('a file of settings is found from a folder below it', async t => {
    const { mkdir, writeFile } = await import('node:fs/promises')
    await mkdir(join(folder, 'deep', 'er'), { recursive: true })
    await writeFile(join(folder, 'saasctl.json'), JSON.stringify({ template: 'other' }))
    const rows = await json<Array<{ name: string; source: string }>>(['config', 'show'], {
      cwd: join(folder, 'deep', 'er')
    })
    t.match(
      rows.find(row => row.name === 'concurrency'),
      { source: 'default' }
    )
    await writeFile(join(folder, 'saasctl.json'), '{"tempalte": "other"}')
    t.match(await run(['tenant', 'list'], { cwd: join(folder, 'deep') }), {
      code: 2,
      stderr: /saasctl\.json: tempalte: is not a setting/
    })
  })
}
