import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { embedded } from '../../src/embedded/embedded.js'
import { cli, haveTerminal } from '../support/cli.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const { run, json, folder, onTerminal } = await cli(t)
  const home = join(folder, '.saasctl')
  t.teardown(() => embedded(home, { path: process.env['PATH'] ?? '' }).reset())

  t.test('in production the embedded server is refused, with what to do', async t => {
    const { code, stderr } = await run(['tenant', 'list'], { env: { NODE_ENV: 'production' } })
    t.equal(code, 2)
    t.match(
      stderr,
      /not for production, and no catalog is configured\.\n→ Set SAASCTL_CATALOG_URL; or allow it with --embedded/
    )
    t.equal(await stat(home).catch(() => 'nothing'), 'nothing', 'and nothing was made')
  })

  t.test('a project starts from nothing; starting it again keeps what is there', async t => {
    const { code, stdout, stderr } = await run(['init'])
    t.equal(code, 0, stderr)
    t.match(stdout, /^saasctl\.json +written$/m)
    t.match(stderr, /→ saasctl migration check standard\n→ saasctl tenant create acme\n/)
    t.match(await json(['init']), { written: [] })
  })

  t.test('the first command starts a server of its own and says so; the next ones say which they use', async t => {
    const made = await run(['tenant', 'create', 'acme'])
    t.equal(made.code, 0, made.stderr)
    t.match(made.stderr, /Making a private PostgreSQL/)
    t.match(made.stderr, /Using the embedded catalog in \.saasctl\./)
    const listed = await run(['tenant', 'list'])
    t.match(listed.stdout, /^acme +active .* local /m)
    t.equal(listed.stderr, 'Using the embedded catalog in .saasctl.\n')
    t.equal(
      (await run(['tenant', 'list', '--embedded'], { env: { NODE_ENV: 'production' } })).code,
      0,
      'allowed by hand'
    )
  })

  t.test('a migration is written, checked on a scratch database and applied', async t => {
    const made = await json<{ name: string; files: string[] }>(
      ['migration', 'new', 'add', 'orders'].slice(0, 2).concat('add orders')
    )
    t.match(made, { name: '0002_add_orders', files: ['tenant-migrations/postgres/0002_add_orders.sql'] })
    t.match(await readFile(join(folder, made.files[0] ?? ''), 'utf8'), /^-- Up Migration/)
    const checked = await run(['migration', 'check'])
    t.match(checked.stdout, /Up, down and up again on server local/)
    t.equal(checked.code, 0, checked.stdout)
    t.match(await run(['migration', 'new', '!!!']), { code: 2, stderr: /cannot be the name of a migration/ })
    t.match(await json(['tenant', 'migrate', 'acme']), { tenant: { migration: made.name } })
  })

  t.test('doctor finds nothing that saasctl itself has left undone', async t => {
    const found = await json<Array<{ code: string; level: string }>>(['doctor'])
    const ours = found.filter(({ code }) => /^(control|doors|setting|wire)\./.test(code))
    t.ok(ours.length > 8)
    t.same(
      ours.filter(({ level }) => level !== 'ok'),
      []
    )
  })

  t.test('a home that cannot be one is named, with why and what to do', async t => {
    const { code, stderr } = await run(['tenant', 'list'], { env: { SAASCTL_HOME: '/dev/null' } })
    t.equal(code, 1)
    t.match(stderr, /^error: The folder \/dev\/null of the embedded server cannot be used: not a directory\.\n→ /)
  })

  t.test('dev tells where the server is, without a password; stops it; starts it again with its data', async t => {
    const running = await json<{ state: string; port: number }>(['dev', 'status'])
    t.equal(running.state, 'running')
    t.notMatch(JSON.stringify(running), /password/i)
    t.equal((await run(['dev', 'stop'])).code, 0)
    t.match(await run(['dev', 'stop']), { code: 0, stderr: /was not running/ })
    t.match(await json(['dev', 'status']), { state: 'stopped' })
    t.match(await json(['dev', 'start']), { state: 'running' })
    t.match(await json(['tenant', 'list']), [{ slug: 'acme' }])
  })

  t.test('reset deletes everything, when its name is given', async t => {
    t.match(await run(['dev', 'reset', '--yes']), { code: 2, stderr: /→ Add --confirm local\./ })
    t.match(await json(['dev', 'status']), { state: 'running' })
    const reset = haveTerminal
      ? await onTerminal(['dev', 'reset'], [[/Type "local" to go on: /, 'local\r']])
      : await run(['dev', 'reset', '--confirm', 'local'])
    t.equal(reset.code, 0, reset.stdout + reset.stderr)
    t.match(await json(['dev', 'status']), { state: 'absent' })
    t.equal((await run(['dev', 'reset', '--confirm', 'local'])).code, 0, 'a second time is OK')
    t.same(await json(['tenant', 'list']), [], 'the next command begins from nothing')
  })
}
