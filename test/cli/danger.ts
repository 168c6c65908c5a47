import t from 'tap'
import { cli, haveTerminal } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run, json, onTerminal } = await cli(t, plane.env)
  const status = async (slug: string) => (await json<{ status: string }>(['tenant', 'show', slug])).status
  for (const [slug, tier] of [
    ['acme', 'gold'],
    ['globex', 'gold'],
    ['initech', 'silver']
  ] as const) {
    await json(['tenant', 'create', slug, '--label', `tier=${tier}`])
  }

  t.test('what can be taken back is not asked about', async t => {
    for (const verb of ['suspend', 'resume', 'delete', 'undelete']) {
      t.equal((await run(['tenant', verb, 'acme'])).code, 0, verb)
    }
  })

  t.test('what loses data wants the name typed, or --confirm with it: --yes is not enough', async t => {
    const tries: string[][] = [
      ['delete', 'acme', '--now'],
      ['delete', 'acme', '--now', '--yes'],
      ['delete', 'acme', '--now', '--confirm', 'globex'],
      ['delete', 'acme', '--grace', '1s'],
      ['delete', 'acme', 'globex', '--now', '--yes', '--confirm', 'acme'],
      ['migrate', 'acme', '--down', '--yes']
    ]
    for (const words of tries) {
      const { code, stderr } = await run(['tenant', ...words])
      t.equal(code, 2, words.join(' '))
      t.match(stderr, /→ Add --confirm (acme|globex|acme,globex)\./)
    }
    for (const variable of ['SAASCTL_CONFIRM', 'SAASCTL_NOW', 'SAASCTL_YES', 'SAASCTL_ALL', 'SAASCTL_REVEAL']) {
      const { code } = await run(['tenant', 'delete', 'acme', '--now'], { env: { [variable]: 'acme' } })
      t.equal(code, 2, `${variable} is not listened to`)
    }
    t.equal(await status('acme'), 'active')
  })

  t.test('many tenants are named and asked about; without a terminal nothing happens', async t => {
    const { code, stdout, stderr } = await run(['tenant', 'suspend', '-l', 'tier=gold'])
    t.strictSame([code, stdout], [2, ''])
    t.match(stderr, /2 tenants will be suspended: acme, globex\. Nobody is there to be asked\.\n→ Add --yes\./)
    t.equal((await run(['tenant', 'suspend', 'acme', 'globex'])).code, 2, 'also when each was named')
    t.equal(await status('acme'), 'active')
  })

  t.test('a forgotten argument is not "every tenant", and a misspelt exception spares nobody', async t => {
    t.match(await run(['tenant', 'suspend', '--yes']), { code: 2, stderr: /No tenant was named/ })
    t.match(await run(['tenant', 'suspend', 'acme', '--all', '--yes']), {
      code: 2,
      stderr: /Both slugs and a selector/
    })
    t.match(await run(['tenant', 'suspend', '--all', '--except', 'glbex', '--yes']), {
      code: 2,
      stderr: /--except names "glbex"/
    })
    t.match(await run(['tenant', 'update', 'acme']), { code: 2, stderr: /There is nothing to change/ })
    t.match(await run(['tenant', 'suspend', '-l', 'tier=none', '--yes']), { code: 0, stderr: /No tenant fits/ })
  })

  t.test('one tenant’s failure stops no other: exit 3, and a list of who failed', async t => {
    const { code, stdout, stderr } = await run(['tenant', 'suspend', 'acme', 'nobody', 'globex', '--yes'])
    t.equal(code, 3, stderr)
    t.match(stdout, /^acme +done +suspended/m)
    t.match(stdout, /^nobody +failed .*There is no tenant "nobody"/m)
    t.match(stdout, /^globex +done +suspended/m)
    t.match(stderr, /error: 1 of 3 tenants could not be suspended: nobody\./)
    const resumed = await json<Array<{ slug: string; result: string }>>([
      'tenant',
      'resume',
      '-l',
      'tier=gold',
      '--yes'
    ])
    t.match(resumed, [
      { slug: 'acme', result: 'done' },
      { slug: 'globex', result: 'done' }
    ])
    const alone = await run(['tenant', 'suspend', 'nobody'])
    t.equal(alone.code, 5, 'one tenant’s error is the command’s own')
  })

  t.test('selectors choose by label, plan, server, region and status, with exceptions', async t => {
    const chosen = async (...flags: string[]) =>
      (await json<Array<{ subject: string }>>(['tenant', 'suspend', '--dry-run', ...flags])).map(line => line.subject)
    t.strictSame(await chosen('-l', 'tier=gold'), ['acme', 'globex'])
    t.strictSame(await chosen('-l', 'plan=small,tier=silver'), ['initech'])
    t.strictSame(await chosen('-l', 'tier=bronze', '-l', 'plan=small'), [])
    t.strictSame(await chosen('--all', '--except', 'acme,initech'), ['globex'])
    t.strictSame(await chosen('--server', 'main', '--plan', 'small'), ['acme', 'globex', 'initech'])
    t.strictSame(await chosen('--status', 'suspended'), [])
    t.strictSame(await chosen('--region', 'mars'), [])
    t.equal(await status('acme'), 'active', 'a dry run changes nothing')
  })

  t.test('a dry run tells the steps of whatever makes an operation', async t => {
    const steps = async (...words: string[]) =>
      (await json<Array<{ step: string }>>([...words, '--dry-run'])).map(line => line.step)
    t.strictSame(await steps('tenant', 'create', 'umbrella'), [
      'make logins',
      'copy template',
      'hand over',
      'open and look',
      'activate'
    ])
    t.ok((await steps('tenant', 'delete', 'acme', '--now')).includes('drop database'))
    t.ok((await steps('template', 'build', 'tiny')).includes('seal'))
    const operations = (await json<unknown[]>(['operation', 'list', '--limit', '1000'])).length
    for (const [code, ...words] of [
      ['6', 'create', 'acme'],
      ['5', 'create', 'umbrella', '--plan', 'nothing'],
      ['5', 'create', 'umbrella', '--server', 'nowhere'],
      ['5', 'suspend', 'nobody'],
      ['6', 'undelete', 'acme'],
      ['5', 'restore', 'acme', '--latest'],
      ['6', 'clone', 'acme', '--as', 'globex']
    ]) {
      const refused = await run(['tenant', ...words, '--dry-run'])
      t.equal(refused.code, Number(code), `what would be refused is: ${words.join(' ')}: ${refused.stderr}`)
    }
    t.equal(
      (await json<unknown[]>(['operation', 'list', '--limit', '1000'])).length,
      operations,
      'and nothing is promised'
    )
    t.equal((await run(['tenant', 'show', 'umbrella'])).code, 5)
  })

  if (!haveTerminal) {
    t.comment('NO "script" HERE THAT MAKES A TERMINAL: questions were not tried.')
  } else {
    t.test('on a terminal the name is typed', async t => {
      const wrong = await onTerminal(
        ['tenant', 'delete', 'initech', '--now'],
        [[/Type "initech" to go on: /, 'acme\r']]
      )
      t.equal(wrong.code, 2)
      t.match(wrong.stdout, /That was not "initech"; nothing was changed\./)
      const away = await onTerminal(['tenant', 'delete', 'initech', '--now'], [[/to go on: /, '\u0003']])
      t.equal(away.code, 130, 'Ctrl-C is no answer')
      t.equal(await status('initech'), 'active')
      const right = await onTerminal(['tenant', 'delete', 'initech', '--now'], [[/to go on: /, 'initech\r']])
      t.equal(right.code, 0, right.stdout)
      t.match(right.stdout, /✓ tenant\.purge: drop database/, 'steps are ticked off')
    })

    t.test('on a terminal many tenants take a y; anything else changes nothing', async t => {
      for (const [typed, code] of [
        ['\r', 130],
        ['n\r', 130],
        ['\u0004', 130],
        ['y\r', 0]
      ] as const) {
        const answered = await onTerminal(['tenant', 'suspend', '-l', 'tier=gold'], [[/Go on\? \[y\/N\] /, typed]])
        t.equal(answered.code, code, answered.stdout)
        t.equal(await status('acme'), code === 0 ? 'suspended' : 'active')
      }
    })

    t.test('on a terminal a table fits its width, and NO_COLOR is heeded', async t => {
      const { stdout } = await onTerminal(['tenant', 'list'])
      for (const line of stdout.split('\r\n')) t.ok(line.length <= 100, line)
      const colored = await onTerminal(['tenant', 'show', 'nobody'], [], { env: { TERM: 'xterm-256color' } })
      t.match(colored.stdout, '\u001b[31merror:\u001b[39m')
      const plain = await onTerminal(['tenant', 'show', 'nobody'], [], {
        env: { TERM: 'xterm-256color', NO_COLOR: '1' }
      })
      t.notMatch(plain.stdout, '\u001b[31m')
    })
  }
}
