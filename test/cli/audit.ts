import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { loadNoun, makeProgram, pathOf } from '../../cli/program.js'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { packageFolder } from '../../src/config.js'
import { demand, permissions } from '../../src/operators/permissions.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { run, json, folder } = await cli(t, plane.env)
  const as = (token: string) => ({ env: { SAASCTL_TOKEN: token } })
  const tokens: Record<string, string> = {}
  const create = async (name: string, role: string, by = '') => {
    const said = await json<{ token: string }>(['operator', 'create', name, '--role', role], as(by))
    tokens[name] = said.token
    return said.token
  }
  let ada = ''
  await json(['tenant', 'create', 'acme'])
  const { id } = await json<{ id: string }>(['tenant', 'show', 'acme'])

  await t.test(
    'before there is an admin, whoever has the catalog’s login may do everything, marked as asserted',
    async t => {
      const [event] = await json<Array<{ proof: string }>>(['audit', 'list', '--tenant', 'acme'])
      t.equal(event?.proof, 'asserted')
    }
  )

  await t.test('from the first admin on, no token means looking only', async t => {
    ada = await create('ada', 'admin')
    const refused = await run(['tenant', 'suspend', 'acme'])
    t.match(refused, {
      code: 4,
      stderr: /"tenant suspend" takes an operator’s token, and none was given.\n→ Set SAASCTL_TOKEN/
    })
    t.equal((await run(['tenant', 'show', 'acme'])).code, 0)
    t.equal((await run(['operator', 'create', 'eve', '--role', 'admin'])).code, 4)
    const broken = await run(['tenant', 'update', 'acme', '--label', 'a=b'], {
      env: { SAASCTL_ASSERTED_CHANGES: 'yes' }
    })
    t.equal(broken.code, 0, 'unless the configuration says so, for the day when no token is at hand')
    const [event] = await json<Array<{ proof: string; actor: string }>>(['audit', 'list', '--action', 'tenant.update'])
    t.match(event, { proof: 'asserted', actor: 'tester' }, 'and the trail shows it')
  })

  await t.test('each role may do its own, and is told who may do the rest', async t => {
    for (const [name, role] of [
      ['grace', 'admin'],
      ['olga', 'operator'],
      ['sam', 'support'],
      ['sign', 'signup'],
      ['aud', 'auditor']
    ] as const)
      await create(name, role, ada)

    const roles = { olga: 'operator', sam: 'support', sign: 'signup', aud: 'auditor' } as const
    const may = (name: keyof typeof roles, words: string[]) => {
      const flags = words.flatMap(word => /^--(.*)/.exec(word)?.[1] ?? [])
      const caller = { actor: { name, proof: 'proven' }, role: roles[name] } as const
      demand(
        caller,
        words
          .filter(word => /^[a-z]+$/.test(word))
          .slice(0, words[0] === 'doctor' ? 1 : 2)
          .join(' '),
        flags
      )
    }
    const tries: Array<[name: keyof typeof roles, code: number, ...words: string[]]> = [
      ['olga', 0, 'tenant', 'suspend', 'acme'],
      ['sam', 0, 'tenant', 'resume', 'acme'],
      ['sam', 4, 'tenant', 'create', 'more'],
      ['sign', 0, 'tenant', 'create', 'more'],
      ['sign', 4, 'tenant', 'suspend', 'acme'],
      ['olga', 4, 'tenant', 'delete', 'acme', '--now', '--confirm', 'acme'],
      ['olga', 0, 'rollout', 'plan'],
      ['olga', 4, 'rollout', 'plan', '--gate', './smoke.sh'],
      ['olga', 4, 'operator', 'create', 'eve', '--role', 'admin'],
      ['olga', 4, 'tenant', 'erase', 'acme', '--reason', 'x'],
      ['sam', 4, 'doctor', '--fix'],
      ['sam', 4, 'tenant', 'dsn', 'acme', '--reveal'],
      ['aud', 0, 'audit', 'list'],
      ['aud', 0, 'audit', 'verify'],
      ['aud', 4, 'tenant', 'list'],
      ['aud', 4, 'tenant', 'suspend', 'acme'],
      ['aud', 4, 'audit', 'checkpoint'],
      ['aud', 4, 'audit', 'key', '--rotate']
    ]
    for (const [name, expected, ...words] of tries) {
      if (expected === 0) t.doesNotThrow(() => may(name, words), `${name}: ${words.join(' ')}`)
      else t.throws(() => may(name, words), { code: 'NOT_ALLOWED' }, `${name}: ${words.join(' ')}`)
    }
    t.equal((await run(['tenant', 'suspend', 'acme'], as(tokens['olga'] ?? ''))).code, 0)
    t.equal((await run(['audit', 'verify'], as(tokens['aud'] ?? ''))).code, 0)
    t.equal((await run(['tenant', 'list'], as(tokens['aud'] ?? ''))).code, 4)
    const { stderr } = await run(['tenant', 'suspend', 'acme'], as(tokens['sign'] ?? ''))
    t.match(
      stderr,
      'sign is a signup and may not do "tenant suspend".\n→ This may be done as: admin, operator, support.'
    )
    const [event] = await json<Array<object>>(
      ['audit', 'list', '--actor', 'olga', '--action', 'tenant'],
      as(tokens['aud'] ?? '')
    )
    t.match(event, { actor: 'olga', proof: 'proven', action: 'tenant.suspend' })
  })

  await t.test('every command has its line in the table of permissions, or is for whoever has the files', async t => {
    const program = makeProgram()
    for (const noun of program.commands) await loadNoun(noun)
    const walk = (command: typeof program): Array<typeof program> =>
      command.commands.length === 0 ? [command] : command.commands.flatMap(one => walk(one as typeof program))
    const files =
      /^(init|version|completion|config show|dev .*|migration new|catalog (migrate|backups|restore|credentials create)|key restore)$/
    const words = walk(program).map(command => pathOf(command).replace('saasctl ', ''))
    t.strictSame(
      words.filter(word => !permissions[word] && !files.test(word)),
      []
    )
    t.strictSame(
      Object.keys(permissions).filter(line => !words.includes(line.replace(/ --.*/, ''))),
      [],
      'and no line is for a command that there is not'
    )
  })

  await t.test('a token is shown once, taken from a file, never from arguments, and its end is at once', async t => {
    const file = join(folder, 'new.token')
    t.equal((await run(['operator', 'token', 'olga', '--out', file], as(ada))).code, 0)
    t.match(await run(['tenant', 'list'], as(tokens['olga'] ?? '')), { code: 4, stderr: /not known, or was revoked/ })
    t.equal((await run(['tenant', 'resume', 'acme', '--token-file', file])).code, 0)
    t.equal((await run(['tenant', 'list', '--token', 'saasctl_op_x'])).code, 2)
    t.match(await run(['tenant', 'list'], as('nonsense')), { code: 4, stderr: /is none/ })
    t.match(await run(['tenant', 'list', '--token-file', 'none']), {
      code: 2,
      stderr: /token file .*none cannot be read/
    })
    const again = await run(['operator', 'token', 'olga', '--out', file], as(ada))
    t.match(again, { code: 2, stderr: /is there already/ })
    t.equal((await run(['tenant', 'list', '--token-file', file])).code, 0, 'and the token in it still works')
    t.equal((await run(['operator', 'revoke', 'olga'], as(ada))).code, 0)
    t.match(await run(['tenant', 'list', '--token-file', file]), { code: 4 })
    t.match(await run(['operator', 'create', 'olga', '--role', 'admin'], as(ada)), {
      code: 6,
      stderr: /is or was an operator olga/
    })
    t.match(await run(['operator', 'revoke', 'nobody'], as(ada)), { code: 5 })
    const rows = await plane.catalogAsSuperuser(
      async client => (await client.query('select t::text from saasctl.operator_token t')).rows
    )
    t.notOk(JSON.stringify(rows).includes(ada.slice(12)), 'the catalog has a hash alone')
    t.match(await json(['operator', 'list'], as(ada)), [
      { name: 'ada' },
      {},
      {},
      { name: 'olga', tokenUntil: null },
      {},
      {}
    ])
  })

  await t.test('the last admin cannot lock everybody out', async t => {
    t.equal((await run(['operator', 'revoke', 'grace'], as(ada))).code, 0)
    t.match(await run(['operator', 'revoke', 'ada'], as(ada)), { code: 6, stderr: /last admin with a token/ })
    await create('hopper', 'admin', ada)
  })

  await t.test('hold, refusal, release: each takes two', async t => {
    const asked = await run(['tenant', 'hold', 'acme', '--reason', 'litigation 17'], as(ada))
    const [, request = ''] = /approval approve (\S+)/.exec(asked.stderr) ?? []
    t.match(await run(['approval', 'approve', request], as(ada)), { code: 4, stderr: /cannot decide it too/ })
    t.equal((await run(['approval', 'approve', request], as(tokens['hopper'] ?? ''))).code, 0)
    const purge = await run(['tenant', 'delete', 'acme', '--now', '--confirm', 'acme'], as(ada))
    t.match(purge, { code: 6, stderr: /legal hold since .*: litigation 17/ })
    t.match(await run(['tenant', 'erase', 'acme', '--reason', 'x'], as(ada)), { code: 6 })
    t.match(await run(['tenant', 'hold', 'acme'], as(ada)), { code: 2, stderr: /--reason/ })
    const release = await json<{ id: string }>(
      ['tenant', 'release', 'acme', '--reason', 'settled'],
      as(tokens['hopper'] ?? '')
    )
    t.equal((await run(['approval', 'approve', release.id], as(ada))).code, 0)
  })

  await t.test('openssl alone proves a checkpoint that was kept', async t => {
    await run(['audit', 'checkpoint', '--out', 'kept'], as(ada))
    const { stdout } = await run(['audit', 'key'], as(ada))
    await writeFile(join(folder, 'signing.pem'), stdout)
    const docs = await readFile(join(packageFolder, 'docs', 'auditors.md'), 'utf8')
    const [line = ''] = /^openssl .*checkpoint-12.*$/m.exec(docs) ?? []
    const openssl = () => spawnSync('/bin/sh', ['-c', line.replaceAll('checkpoint-12', 'kept')], { cwd: folder })
    t.match(String(openssl().stdout), /Verified Successfully/, 'the line as it stands in the docs')
    await writeFile(join(folder, 'kept'), (await readFile(join(folder, 'kept'), 'utf8')).replace('"v":1', '"v":2'))
    t.not(openssl().status, 0)
    await writeFile(join(folder, 'kept'), (await readFile(join(folder, 'kept'), 'utf8')).replace('"v":2', '"v":1'))
    t.match(await run(['audit', 'checkpoint', '--out', 'kept'], as(ada)), { code: 2, stderr: /is there already/ })
  })

  await t.test(
    'an auditor with the auditor’s login and no keys reads, verifies and hands out the trail, and can change nothing',
    async t => {
      const { url } = await createCatalogLogin(plane.adminUrl, 'auditor', { name: 'tester', proof: 'asserted' })
      const auditor = { env: { SAASCTL_CATALOG_URL: url, SAASCTL_HOME: join(folder, 'nowhere') } }
      t.match(await json(['audit', 'list', '--tenant', 'acme', '--action', 'hold.set'], auditor), [
        { payload: { reason: 'litigation 17' } }
      ])
      const [line] = await json<Array<{ event: string }>>(['audit', 'list', '--limit', '1'], auditor)
      t.equal((await run(['audit', 'show', line?.event ?? ''], auditor)).code, 0)
      t.match(await run(['audit', 'show', 'server#999'], auditor), { code: 5 })
      t.match(await run(['audit', 'show', 'nonsense'], auditor), { code: 2 })
      const unknown = await run(['audit', 'verify'], auditor)
      t.match(unknown, { code: 0, stderr: /every chain is whole.*nothing was changed\.\nThe signer is unknown/s })
      const proven = await run(['audit', 'verify', '--key', 'signing.pem', '--checkpoint', 'kept'], auditor)
      t.match(proven, {
        code: 0,
        stderr: /Up to checkpoint 1 of .*, signed with key [0-9a-f]{16}, nothing was changed/
      })
      t.equal((await run(['audit', 'export', '--out', 'trail.ndjson'], auditor)).code, 0)
      t.equal(
        (await run(['audit', 'verify', 'trail.ndjson', '--key', 'signing.pem', '--checkpoint', 'kept'], auditor)).code,
        0
      )
      t.match(await run(['audit', 'key'], auditor), { code: 1, stderr: /no signing key here/ })
      for (const words of [
        ['tenant', 'list'],
        ['tenant', 'suspend', 'acme'],
        ['operator', 'list'],
        ['audit', 'checkpoint'],
        ['worker']
      ])
        t.equal((await run(words, auditor)).code, 4, words.join(' '))
      t.equal((await run(['audit', 'list'], { env: { ...auditor.env, SAASCTL_TOKEN: ada } })).code, 0)
      t.equal(
        (await run(['tenant', 'suspend', 'acme'], { env: { ...auditor.env, SAASCTL_TOKEN: ada } })).code,
        4,
        'nor with an admin’s token'
      )
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      t.teardown(() => client.end())
      for (const sql of [
        'delete from saasctl.audit_event',
        'update saasctl.tenant set slug = slug',
        'select * from saasctl.login',
        'select * from saasctl.operator_token',
        'select plan from saasctl.tenant',
        `select saasctl.audit_append('x', 'x', 'proven', 'x', 'x', '{}')`,
        `select saasctl.audit_erase('x', 'x', 'proven', 'x', '{}')`,
        'select saasctl.audit_checkpoint_open()',
        `insert into saasctl.operation (id) values (gen_random_uuid())`
      ])
        await t.rejects(client.query(sql), { code: '42501' }, sql)
    }
  )

  await t.test('what was changed behind the trail ends with 8 and names its place', async t => {
    await plane.catalogAsSuperuser(client =>
      client.query(
        `update saasctl.audit_event set body = replace(body, 'ada', 'eve') where chain = $1 and body like '%"ada"%'`,
        [`tenant:${id}`]
      )
    )
    const found = await run(['audit', 'verify', '--key', 'signing.pem'])
    t.match(found, { code: 8, stdout: new RegExp(`tenant:${id}#\\d+ does not have the hash of its body`) })
    t.match(found.stderr, /error: The audit trail was changed\. First: Event tenant:/)
    await plane.catalogAsSuperuser(client =>
      client.query(`update saasctl.audit_event set body = replace(body, 'eve', 'ada') where chain = $1`, [
        `tenant:${id}`
      ])
    )
    t.equal((await run(['audit', 'verify'])).code, 0)
  })

  await t.test('an erasure is asked about like any loss, and leaves its certificate', async t => {
    const { id: request } = await json<{ id: string }>(['tenant', 'erase', 'acme', '--reason', 'request'], as(ada))
    const hopper = as(tokens['hopper'] ?? '')
    t.match(await run(['approval', 'approve', request], hopper), { code: 2, stderr: /Add --confirm acme/ })
    t.equal((await run(['approval', 'approve', request, '--confirm', 'acme'], hopper)).code, 0)
    t.equal((await run(['audit', 'certificate', id, '--out', 'erased'], as(tokens['aud'] ?? ''))).code, 0)
    t.match(JSON.parse(await readFile(join(folder, 'erased'), 'utf8')), {
      tenant: id,
      type: 'saasctl erasure certificate'
    })
    const line = 'pkeyutl -verify -pubin -inkey signing.pem -rawin -in erased -sigfile erased.sig'
    t.equal(spawnSync('openssl', line.split(' '), { cwd: folder }).status, 0)
    t.match(await run(['audit', 'certificate', 'acme'], hopper), { code: 5 })
    t.equal((await run(['audit', 'verify', '--tenant', id], hopper)).code, 0)
    t.equal((await run(['tenant', 'show', 'acme'], hopper)).code, 5)
  })
}
