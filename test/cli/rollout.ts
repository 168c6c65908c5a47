import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run, json } = await cli(t, plane.env)
  for (const slug of ['acme', 'globex', 'initech']) await json(['tenant', 'create', slug])
  const all = ['--template', 'tiny', '--all']

  await t.test('an operator plans, starts and looks at a rollout', async t => {
    t.match(await run(['rollout', 'plan', ...all]), { code: 0, stdout: '', stderr: /there is nothing to do/ })
    const name = await tiny.grow()
    const plan = await json<{ id: string; targets: number }>(['rollout', 'plan', ...all, '--canary', '1'])
    t.equal(plan.targets, 3)
    const started = await run(['rollout', 'start', plan.id])
    t.equal(started.code, 0, started.stderr)
    t.match(started.stderr, /wave canary: 1 of 1/)
    t.match(await json(['rollout', 'show', plan.id]), { status: 'succeeded', waves: [{ done: 1 }, { done: 2 }] })
    t.match(await json(['tenant', 'show', 'acme']), { migration: name })
    t.match(await json(['rollouts', 'ls']), [{ id: plan.id, status: 'succeeded' }])
  })

  await t.test('what is misspelt or empty never means nobody, and never everybody', async t => {
    const plan = (...args: string[]) => run(['rollout', 'plan', '--template', 'tiny', ...args])
    for (const empty of [
      ['-l', 'plan='],
      ['--plan', ''],
      ['--server', ''],
      ['--region', ' ']
    ])
      t.match(await plan(...empty), { code: 2, stderr: /must not be empty/ }, empty.join(' '))
    t.match(await plan('-l', 'plan=smal'), { code: 5, stderr: /no plan "smal".*It has .*small/s })
    t.match(await plan('--server', 'mian'), { code: 5, stderr: /no server "mian".*It has main/s })
    t.match(await plan('--tenant', 'acme,nobody'), { code: 5, stderr: /no tenant "nobody"/ })
    t.match(await plan('--all', '--except', 'acmee'), { code: 5, stderr: /no tenant "acmee"/ })
    t.match(await plan('-l', 'teir=gold'), { code: 0, stderr: /^No tenant fits; there is nothing to do\.$/m })
    for (const bad of [
      ['--gate', ''],
      ['--gate-sql', ''],
      ['--gate-url', 'example.com'],
      ['--max-percent', '101']
    ])
      t.match(await plan('--all', ...bad), { code: 2, stderr: /is invalid/ }, bad.join(' '))
  })

  await t.test('many tenants are asked about, and what fails has exit code 3 and a name', async t => {
    await tiny.grow({
      up: `do $$ begin if current_setting('saasctl.app_role') > 'a' then perform 1 / 0; end if; end $$;`,
      down: ''
    })
    t.match(await run(['rollout', 'start', ...all]), { code: 2, stderr: /3 tenants will be migrated.*Add --yes/s })
    const failed = await run(['rollout', 'start', ...all, '--yes', '-o', 'json'])
    t.equal(failed.code, 3)
    t.match(failed.stderr, /SOME_FAILED|ROLLOUT_STOPPED/)
    const [latest] = await json<Array<{ id: string }>>(['rollout', 'list'])
    t.match(await run(['rollout', 'abort', latest?.id ?? '']), { code: 6, stderr: /is failed and cannot be aborted/ })
  })

  await t.test('a plan says whom, what and how long, and what the lint has against it', async t => {
    await tiny.grow({
      up: `create function f() returns int language sql security definer as 'select 1';\ncreate index on notes (body);`,
      down: 'drop function f();'
    })
    await rm(join(tiny.migrations, '0004_grown.sql'))
    const planned = await run(['rollout', 'plan', ...all])
    t.equal(planned.code, 0, planned.stderr)
    t.match(planned.stdout, /acme/)
    t.match(planned.stderr, /error: 0005_grown\.sql:2: function\.search-path/)
    t.match(planned.stderr, /warning: 0005_grown\.sql:3: index\.blocking: .*The biggest it hits: notes of \w+, \d+ kB/)
    const { id } = await json<{ id: string }>(['rollout', 'plan', ...all])
    t.match(await run(['rollout', 'start', id]), { code: 6, stderr: /function\.search-path.*--allow/s })
    const tried = await json<unknown[]>(['rollout', 'start', id, '--dry-run'])
    t.match(tried, [{ engine: 'postgres', clone: 'template', migration: '0005_grown' }])
    t.match(await json(['rollout', 'start', id, '--dry-run-on', 'acme']), [{ clone: 'acme', migration: '0005_grown' }])
    t.match(await json(['rollout', 'show', id]), { status: 'planned', leftMs: Number }, 'nothing was started')
    t.match(await run(['rollout', 'start', id, '--dry-run-on', 'nobody']), { code: 5 })
    t.match(await run(['rollout', 'start', id, '--per-server', '1']), {
      code: 2,
      stderr: /as it was planned, and --per-server would change it/
    })
    t.equal((await run(['rollout', 'start', id, '--allow', 'function.search-path'])).code, 0)
  })

  await t.test('with --verify a look at every tenant is taken, and who cannot be looked at is exit code 3', async t => {
    t.match(await run(['rollout', 'plan', ...all, '--verify']), { code: 0, stderr: /there is nothing to do/ })
    const { database } = await json<{ database: string }>(['tenant', 'show', 'globex'])
    const set = (allowed: boolean) =>
      asSuperuser(plane.server, client => client.query(`alter database "${database}" allow_connections ${allowed}`))
    await set(false)
    t.match(await run(['rollout', 'plan', ...all, '--verify']), { code: 3, stderr: /globex could not be looked at/ })
    await set(true)
  })

  await t.test('typos are told', async t => {
    t.match(await run(['rollout', 'plan', '--template', 'tiny']), { code: 2, stderr: /No tenant was named/ })
    t.match(await run(['rollout', 'plan', ...all, '--waves', 'half']), { code: 2, stderr: /is no wave/ })
    t.match(await run(['rollout', 'plan', ...all, '--to', '0099_nothing']), {
      code: 5,
      stderr: /no migration "0099_nothing"/
    })
    t.match(await run(['rollout', 'show', 'nonsense']), { code: 5, stderr: /no rollout "nonsense"/ })
    t.match(await run(['rollout', 'plan', '--template', 'tinny', '--all']), { code: 5 })
  })
}
