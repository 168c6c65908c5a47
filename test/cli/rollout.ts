import t from 'tap'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
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
