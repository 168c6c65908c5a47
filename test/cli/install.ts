import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { cli, haveTerminal } from '../support/cli.js'
import { emptyCatalog } from '../support/control-plane.js'
import { controlLogin, skipWithoutPostgres, startServer } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const server = await startServer()
  t.teardown(() => server.stop())
  const adminUrl = await emptyCatalog(server)
  const control = await controlLogin(server)
  const owner = { SAASCTL_CATALOG_ADMIN_URL: adminUrl, SAASCTL_CATALOG_URL: adminUrl }
  const { run, json, folder, onTerminal } = await cli(t)
  const at = [`postgres://${control.login}@${server.host}:${server.port}`]
  let env: Record<string, string> = owner

  t.test('before anything, every command says what comes first', async t => {
    t.match(await run(['tenant', 'list'], { env }), {
      code: 1,
      stderr: /The catalog has no schema yet\.\n→ Run "saasctl catalog migrate"/
    })
    t.match(await run(['catalog', 'status'], { env }), { code: 1, stderr: /catalog migrate/ })
  })

  t.test('the catalog is migrated, and migrating again does nothing', async t => {
    const first = await run(['catalog', 'migrate'], { env })
    t.equal(first.code, 0, first.stderr)
    t.match(first.stdout, /^NAME\n0001_instance\n/)
    const again = await run(['catalog', 'migrate'], { env })
    t.match(again, { code: 0, stdout: '', stderr: /at this version already/ })
  })

  t.test('programs get logins of their own, shown once', async t => {
    const made = await run(['catalog', 'credentials', 'create', 'control'], { env })
    t.match(made.stdout, /^SAASCTL_CATALOG_URL=postgres:\/\/saasctl_control_\w+:\S+@\S+\n$/)
    t.match(made.stderr, /it is not shown again/)
    env = { SAASCTL_CATALOG_URL: made.stdout.trim().replace('SAASCTL_CATALOG_URL=', ''), SAASCTL_HOME: folder }
    t.match(await json(['catalog', 'status'], { env }), { login: /^saasctl_control_/, superuser: false })
    t.equal((await run(['catalog', 'migrate'], { env })).code, 4, 'and that login may not migrate')
  })

  t.test(
    'a server is added with its password from stdin, a file, the environment, or the prompt; never echoed',
    async t => {
      const file = join(folder, 'secret')
      await writeFile(file, `${control.password}\n`, { mode: 0o600 })
      t.match(await run(['server', 'add', 'one', ...at], { env }), {
        code: 2,
        stderr: /was not given, and nobody is there/
      })
      t.match(await run(['server', 'add', 'one', ...at, '--password-stdin'], { env }), { code: 2, stderr: /is empty/ })
      t.match(await run(['server', 'add', 'one', ...at, '--password-file', '/nowhere'], { env }), {
        code: 2,
        stderr: /no such file/
      })
      t.match(await run(['server', 'add', 'one', ...at, '--password-stdin'], { env, stdin: 'wrong' }), {
        code: 1,
        stderr: /error: /
      })
      t.match(await run(['server', 'add', 'one'], { env }), { code: 2, stderr: /host is missing/ })
      t.match(await run(['server', 'add', 'One', ...at, '--password-file', file], { env }), {
        code: 2,
        stderr: /cannot be the name of a server/
      })

      const ways: Array<[name: string, flags: string[], stdin: string, more: Record<string, string>]> = [
        ['one', [...at, '--password-stdin'], `${control.password}\r\n`, {}],
        ['two', [...at, '--password-file', file], '', {}],
        [
          'three',
          ['--host', server.host, '--port', String(server.port), '--login', control.login],
          '',
          { SAASCTL_PASSWORD: control.password }
        ]
      ]
      for (const [name, flags, stdin, more] of ways) {
        const added = await run(['server', 'add', name, ...flags, '--region', 'eu', '--label', 'tier=a'], {
          env: { ...env, ...more },
          stdin
        })
        t.equal(added.code, 0, added.stderr)
        t.match(added.stdout, new RegExp(`^${name} +postgres +\\d+.* eu +active`, 'm'))
        t.notMatch(added.stdout + added.stderr, control.password)
      }
      t.equal(
        (await run(['server', 'add', 'one', ...at, '--password-file', file], { env })).code,
        6,
        'a name is taken once'
      )
      t.equal((await run(['server', 'rm', 'three'], { env })).code, 0, 'and an empty server is forgotten')
      t.equal((await run(['server', 'show', 'three'], { env })).code, 5)
      if (!haveTerminal) return t.comment('NO "script" HERE THAT MAKES A TERMINAL: the prompt was not tried.')
      const asked = await onTerminal(
        ['server', 'add', 'four', ...at],
        [[/The password of saasctl_server: /, `${control.password}\r`]],
        { env }
      )
      t.equal(asked.code, 0, asked.stdout)
      t.notMatch(asked.stdout, control.password)
    }
  )

  t.test('a new password is tried before it is stored', async t => {
    t.equal((await run(['server', 'update', 'one', '--password-stdin'], { env, stdin: 'wrong' })).code, 1)
    t.equal((await run(['server', 'check', 'one'], { env })).code, 0, 'the old one is still there')
    t.equal((await run(['server', 'update', 'one', '--password-stdin'], { env, stdin: control.password })).code, 0)
  })

  t.test('a router’s login comes with the key that it needs, and no other', async t => {
    const made = await run(['catalog', 'credentials', 'create', 'router'], { env: { ...owner, SAASCTL_HOME: folder } })
    t.match(made.stdout, /^SAASCTL_CATALOG_URL=postgres:\/\/saasctl_router_\S+\nSAASCTL_ROUTING_KEY=[\w+/]{43}=\n$/)
  })

  t.test('the keys are backed up to a new private file, and come back from it elsewhere', async t => {
    const passphrase = { ...env, SAASCTL_PASSWORD: 'five random words and more' }
    const file = join(folder, 'keys.backup')
    t.match(await run(['key', 'status'], { env }), { code: 0, stderr: /saasctl key backup FILE/ })
    t.match(await run(['key', 'backup', file, '--password-stdin'], { env, stdin: 'short' }), {
      code: 2,
      stderr: /fewer than 12/
    })
    t.equal((await run(['key', 'backup', file], { env: passphrase })).code, 0)
    t.equal((await stat(file)).mode & 0o777, 0o600)
    t.match(await run(['key', 'backup', '--out', file], { env: passphrase }), {
      code: 2,
      stderr: /is not written over/
    })
    t.notMatch((await run(['key', 'status'], { env })).stderr, /key backup/, 'nothing more is asked')
    const printed = await run(['key', 'backup'], { env: passphrase })
    t.match(printed.stdout, /^saasctl key backup 1\n/)

    const elsewhere = { ...passphrase, SAASCTL_HOME: join(folder, 'elsewhere') }
    t.match(await run(['key', 'restore', file], { env: { ...elsewhere, SAASCTL_PASSWORD: 'another set of words' } }), {
      code: 1,
      stderr: /does not open/
    })
    t.match(await run(['key', 'restore', file], { env: elsewhere }), { code: 0, stdout: /^NAME\ncontrol\nrouting\n$/ })
    const key = (home: string) => readFile(join(home, 'keys', 'control.key'), 'utf8')
    t.equal(await key(join(folder, 'elsewhere')), await key(folder))
    t.equal((await run(['key', 'restore', file], { env: elsewhere })).code, 0, 'a second time is OK')
    t.match(await run(['key', 'restore', '/nowhere'], { env: elsewhere }), { code: 2, stderr: /no such file/ })
  })

  t.test('a restored catalog is adopted, after a question', async t => {
    t.equal((await run(['catalog', 'adopt'], { env })).code, 2)
    const { before, after } = await json<{ before: string; after: string }>(['catalog', 'adopt', '--yes'], { env })
    t.not(before, after)
    t.match(await json(['catalog', 'status'], { env }), { incarnation: after })
  })

  t.test('a passphrase that is chosen at the prompt is asked for twice', async t => {
    if (!haveTerminal) return t.comment('NO "script" HERE THAT MAKES A TERMINAL: the prompt was not tried.')
    const typed = async (second: string) =>
      onTerminal(
        ['key', 'backup', join(folder, second)],
        [
          [/The passphrase: /, 'one-two-three-four\r'],
          [/again: /, `${second}\r`]
        ],
        { env }
      )
    t.match(await typed('one-two-three-five'), { code: 2, stdout: /The two were not the same/ })
    const same = await typed('one-two-three-four')
    t.equal(same.code, 0, same.stdout)
    t.notMatch(same.stdout.replaceAll(join(folder, 'one-two-three-four'), ''), 'one-two-three-four')
  })
}
