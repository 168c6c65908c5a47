import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Command } from 'commander'
import fc from 'fast-check'
import t from 'tap'
import { checkArguments } from '../../cli/arguments.js'
import { nouns } from '../../cli/nouns.js'
import { loadNoun, makeProgram, pathOf } from '../../cli/program.js'
import { packageFolder } from '../../src/config.js'
import { errorTable } from '../../src/errors.js'
import { cli, main } from '../support/cli.js'

const { run, json, folder } = await cli(t)

async function wholeProgram(): Promise<Command> {
  const program = makeProgram()
  for (const noun of program.commands) await loadNoun(noun)
  return program
}

const program = await wholeProgram()
const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)]
const leaves = all(program).filter(command => command.commands.length === 0)

t.test('saasctl alone, --help and help show every noun, grouped, with examples, on stdout', async t => {
  for (const args of [[], ['--help'], ['-h'], ['help']]) {
    const { code, stdout, stderr } = await run(args)
    t.strictSame([code, stderr], [0, ''])
    for (const { name, group } of nouns) {
      t.match(stdout, new RegExp(`^  ${name} `, 'm'))
      t.ok(stdout.includes(`\n${group}\n`))
    }
    t.match(stdout, /Examples:\n {2}\$ saasctl tenant create acme/)
  }
})

t.test('every command explains itself, with an example that it understands', async t => {
  for (const command of leaves) {
    let text = ''
    command.configureOutput({ writeOut: chunk => (text += chunk) }).outputHelp()
    const examples = text.split('\n').flatMap(line => /^ {2}\$ saasctl (.*)$/.exec(line)?.[1] ?? [])
    t.ok(examples.length > 0, pathOf(command))
    for (const example of examples) {
      t.ok(`${example} `.startsWith(`${pathOf(command).replace('saasctl ', '')} `), example)
      understood(t, example)
    }
    t.match(command.description(), /^[A-Z].*[^.]$/, 'one line without a full stop')
  }
  const help = async (...words: string[]) => (await run([...words, '--help'])).stdout
  t.match(
    await help('operator', 'create'),
    /--role <role> [^[]*\[required\]\n.*\[90d\]/,
    'durations as people write them'
  )
  t.equal((await run(['help', 'tenant', 'create'])).stdout, (await run(['tenant', 'create', '--help'])).stdout)
})

/** That the noun, the verb and every flag of a command line are there. */
function understood(t: Tap, line: string): void {
  const words = (line.split(/ {2,}| [<>|] /)[0] ?? '').split(' ')
  let command = program
  for (const word of words) {
    const next = command.commands.find(one => one.name() === word || one.aliases().includes(word))
    if (!next) break
    command = next
  }
  t.equal(command.commands.length, 0, `"${line}" names a verb`)
  for (const flag of words.filter(word => /^--?[a-z]/.test(word))) {
    const name = flag.split('=')[0] ?? ''
    const known = [...command.options, ...program.options].some(option => option.long === name || option.short === name)
    t.ok(known, `"${line}": ${name} is a flag of ${pathOf(command)}`)
  }
}

type Tap = Pick<typeof t, 'ok' | 'equal'>

/** Not a command but how to ask about one. */
const placeholders = ['help NOUN VERB']

t.test('every command that a message tells people to run is one', async t => {
  const sources = await Promise.all(
    ['src', 'cli'].map(async root => {
      const names = await readdir(join(packageFolder, root), { recursive: true })
      return Promise.all(
        names.filter(name => name.endsWith('.ts')).map(name => readFile(join(packageFolder, root, name), 'utf8'))
      )
    })
  )
  const told = sources
    .flat()
    .flatMap(text => [
      ...text.matchAll(/"saasctl ([a-z][^"`]*)"|→ saasctl ([a-z][^'`]*)['`]|: saasctl ([a-z][^'`]*)['`]/g)
    ])
  const lines = told.map(([, a, b, c]) => (a ?? b ?? c ?? '').replace(/\$\{[^}]*\}/g, 'X'))
  t.ok(lines.length > 30, `${lines.length} were found`)
  for (const line of new Set(lines)) if (!placeholders.includes(line)) understood(t, line)
})

t.test('the README shows only what there is', async t => {
  const readme = await readFile(join(packageFolder, 'README.md'), 'utf8')
  const lines = [...readme.matchAll(/^(?:npx )?saasctl ([a-z].*)$/gm)].map(([, line = '']) => line)
  t.ok(lines.length > 10)
  for (const line of lines) understood(t, line.replace(/ *#.*| && .*/, ''))
})

t.test('every exit code that the help names is in the table of errors, and no other', async t => {
  const { stdout } = await run(['--help'])
  const named = [...(/Exit codes:([^.]*)\./s.exec(stdout)?.[1] ?? '').matchAll(/\d+/g)].map(([code]) => Number(code))
  const used = new Set([0, ...Object.values(errorTable).map(({ exit }) => exit)])
  t.strictSame(
    [...used].sort((a, b) => a - b),
    named
  )
})

t.test('a list that stops at a limit goes on where one says', async t => {
  for (const command of leaves) {
    const flags = command.options.map(({ flags }) => flags.replace(/<.*/, ''))
    if (!flags.includes('--limit ')) continue
    t.ok(flags.includes('--before ') || flags.includes('--after '), pathOf(command))
    t.ok(
      command.options.some(({ flags }) => flags === '--limit <n>'),
      'in the same words'
    )
  }
})

t.test('what is misspelt is refused with exit 2, one sentence and the word that was meant', async t => {
  const cases: Array<[args: string[], said: RegExp]> = [
    [['tenat', 'list'], /^error: Unknown command 'tenat'\.\n→ Did you mean "tenant"\?\n$/],
    [['tenant', 'creat', 'x'], /^error: Unknown command 'creat'\.\n→ Did you mean "create"\?\n$/],
    [['tenant', 'create', 'acme', '--plam', 'pro'], /^error: Unknown option '--plam'\.\n→ Did you mean "--plan"\?\n$/],
    [['tenant', 'create'], /^error: Missing required argument 'slug'\.\n→ See "saasctl tenant create --help"\.\n$/],
    [
      ['tenant', 'create', 'a', 'b'],
      /^error: Too many arguments for 'create'.*\n→ See "saasctl tenant create --help"\.\n$/
    ],
    [['tenant'], /^error: "saasctl tenant" needs a verb: create, list, .*\.\n→ See "saasctl tenant --help"\.\n$/],
    [['tenant', 'list', '-o', 'xml'], /Allowed choices are table, json, ndjson\.\n→ See "saasctl --help"\.\n/],
    [['help', 'tenat'], /^error: Unknown command 'tenat'\.\n/],
    [['tenant', 'creat', '--help'], /^error: Unknown command 'creat'\.\n→ See "saasctl tenant --help"\.\n$/],
    [['operation', 'list', '--before', 'yesterday'], /It must be an id, as the list prints it\.\n/],
    [['tenant', 'list', '--limit', '0'], /It must be at least 1\.\n/],
    [['tenant', 'list', '--timeout', 'soon'], /must be a duration such as 15s, 10m or 7d\.\n/],
    [['tenant', 'list', '-l', 'plan'], /Write it as key=value/],
    [['tenant', 'list', '--status', 'asleep'], /must be one of creating, active/],
    [['tenant', 'list', '--limit', '-1'], /whole number/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish\.\n/],
    [['catalog', 'credentials', 'create', 'boss'], /Allowed choices are control, router, auditor\.\n/],
    [['--frobnicate'], /^error: Unknown option '--frobnicate'\.\n→ See "saasctl --help"\.\n$/],
    [['tenant', 'list', '--catalog', 'nonsense'], /--catalog: is not a URL; write postgres:\/\//],
    [['tenant', 'list', '--catalog', 'mysql://h/d'], /must begin with postgres:\/\//]
  ]
  for (const [args, said] of cases) {
    const { code, stdout, stderr } = await run(args)
    t.equal(code, 2, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, said)
  }
})

t.test('a password in an argument is refused before anything else, and not repeated', async t => {
  const secret = 'hunter2-é'
  const cases = [
    ['server', 'add', 'eu-1', `postgres://control:${secret}@db.example`],
    ['tenant', 'list', '--catalog', `postgres://u:${secret}@127.0.0.1/saasctl`],
    ['tenant', 'list', `--catalog=postgresql://u:${secret}@127.0.0.1/saasctl`],
    ['tenant', 'list', '--catalog', `postgres://u:${secret}/with?odd@127.0.0.1/saasctl`],
    ['tenant', 'list', '--catalog', `postgres://127.0.0.1/saasctl?password=${secret}`],
    ['server', 'add', 'eu-1', '--host', `host=db password=${secret}`],
    ['server', 'add', 'eu-1', '--password', secret],
    ['server', 'add', 'eu-1', `--password=${secret}`],
    ['nonsense', `PGPASSWORD=${secret}`, '-o', 'json'],
    ['-o', `mysql://u:${secret}@h`]
  ]
  for (const args of cases) {
    const { code, stdout, stderr } = await run(args)
    t.equal(code, 2, args.join(' ').replace(secret, '…'))
    t.match(stderr, /PASSWORD_IN_ARGV|Argument \d holds a password/)
    t.notMatch(stdout + stderr, /hunter2/)
  }
  const { stderr } = await run(['-o', 'json', 'server', 'add', 'x', `postgres://u:${secret}@h`])
  t.match(JSON.parse(stderr), { code: 'PASSWORD_IN_ARGV' })
})

t.test('an address or a flag without a password is not taken for one', async t => {
  for (const argument of [
    'postgres://control@db.example:5432/postgres',
    'postgres://[::1]:5432/x',
    'postgres://db.example:5432/a@b',
    '--password-file=/run/secret',
    '--password-stdin',
    'mail@example.com',
    'key=value',
    'https://example.com/a:b@c'
  ]) {
    t.doesNotThrow(() => checkArguments([argument]), argument)
  }
  const word = fc.stringMatching(/^[a-z0-9._~!-]{1,12}$/)
  fc.assert(
    fc.property(word, word, word, (login, password, host) => {
      t.throws(() => checkArguments([`--catalog=postgres://${login}:${password}@${host}/db`]), {
        code: 'PASSWORD_IN_ARGV'
      })
    })
  )
})

t.test('odd arguments get a usage error, never a crash, and no control character comes back', async () => {
  const odd = fc.oneof(
    fc.constantFrom(
      '',
      ' ',
      '-',
      '--',
      '---',
      '__proto__',
      'constructor',
      '--constructor',
      '--__proto__=1',
      '../..',
      '%s',
      '\u001b[31m',
      'a\u202eb',
      '\u0007'
    ),
    fc
      .string({ unit: 'binary', maxLength: 30 })
      .filter(text => !text.includes('\0') && !/^-(h|V)|^--(help|version)/.test(text))
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<string[]>([], ['tenant'], ['tenant', 'create', '--bad'], ['operation', 'list', '--limit']),
      odd,
      async (before, word) => {
        const { code, stdout, stderr } = await run([...before, word, 'x', 'y', 'z'])
        if (code !== 2 || stdout !== '') throw new Error(`${code}: ${stdout}${stderr}`)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        if (/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/.test(stderr)) throw new Error(JSON.stringify(stderr))
      }
    ),
    { numRuns: 25 }
  )
})

t.test('config show tells each value with its source, and no secret', async t => {
  await writeFile(join(folder, 'saasctl.json'), JSON.stringify({ deleteGrace: '3d', template: 'demo' }))
  const env = {
    SAASCTL_CATALOG_URL: 'postgres://me:hunter2@127.0.0.1/saasctl',
    SAASCTL_CONTROL_KEY: 'hunter2',
    SAASCTL_TEMPLATE: 'standard'
  }
  const rows = await json<Array<{ name: string; value: unknown; source: string }>>(
    ['config', 'show', '--home', 'elsewhere'],
    { env }
  )
  const of = (name: string) => rows.find(row => row.name === name)
  t.match(of('deleteGrace'), { value: '3d', source: 'saasctl.json' })
  t.match(of('template'), { value: 'standard', source: 'SAASCTL_TEMPLATE' })
  t.match(of('home'), { value: join(folder, 'elsewhere'), source: '--home' })
  t.match(of('slugQuarantine'), { value: '30d', source: 'default' })
  t.match(of('controlKey'), { value: '[secret]' })
  const { stdout } = await run(['config', 'show'], { env })
  t.notMatch(stdout + JSON.stringify(rows), /hunter2/)
  const broken = await run(['config', 'show'], { env: { SAASCTL_LEASE: 'soon', SAASCTL_CONCURRENCY: '0' } })
  t.equal(broken.code, 2)
  t.match(broken.stderr, /SAASCTL_LEASE.*; SAASCTL_CONCURRENCY/, 'every problem at once')
  t.match(
    (await run(['config', 'show', '--catalog', 'postgres://a@h/d'], { env })).stdout,
    /^catalog +postgres:\/\/a@h\/d +--catalog/m
  )
})

t.test('version is one line, or an object', async t => {
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as { version: string }
  for (const args of [['version'], ['--version'], ['-V']]) t.equal((await run(args)).stdout, `saasctl ${version}\n`)
  t.match(await json(['version']), { version, node: process.versions.node })
})

t.test('help loads commander and nothing else: no verb, no database driver, no queue', async t => {
  const coverage = join(folder, 'coverage')
  const options = { env: { PATH: process.env['PATH'] ?? '', NODE_V8_COVERAGE: coverage } }
  spawnSync('env', ['-u', 'NODE_OPTIONS', process.execPath, main, '--help'], options)
  const [file = ''] = await readdir(coverage)
  const { result } = JSON.parse(await readFile(join(coverage, file), 'utf8')) as { result: Array<{ url: string }> }
  const loaded = result.map(({ url }) => url).filter(url => url.startsWith('file:'))
  t.ok(loaded.includes(pathToFileURL(main).href))
  const allowed = /\/node_modules\/commander\/|\/dist\/cli\/\w+\.js$|\/dist\/src\/(duration|errors)\.js$/
  t.strictSame(
    loaded.filter(url => !allowed.test(url)),
    []
  )
})

t.test('bash completes nouns, verbs, flags and what a flag takes, through plurals too', async t => {
  const { stdout: script } = await run(['completion', 'bash'])
  const complete = (...words: string[]) => {
    const ask = `${script}\nCOMP_WORDS=(saasctl ${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _saasctl; printf '%s\\n' "\${COMPREPLY[@]}"`
    return spawnSync('bash', ['-c', ask], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean)
  }
  if (spawnSync('bash', ['-c', 'true']).status !== 0) return t.comment('NO BASH HERE: its completion was not tried.')
  t.strictSame(complete('te'), ['tenant', 'template'])
  t.strictSame(complete('tenants', 'un'), ['undelete'])
  t.strictSame(complete('tenant', 'create', '--dis'), ['--display-name'])
  t.strictSame(complete('catalog', 'credentials', 'c'), ['create'])
  t.ok(complete('server', 'add', '--out').includes('--output'), 'flags of every command too')
  t.strictSame(complete('tenant', 'list', '-o', 'j'), ['json'])
  t.strictSame(complete('tenant', 'create', 'acme', '--engine', ''), ['postgres', 'mysql'])
  t.strictSame(complete('catalog', 'credentials', 'create', 'r'), ['router'])
  t.strictSame(
    complete('tenant', 'create', 'acme', '--plan', ''),
    [],
    'what only the catalog knows is left to the shell'
  )
  t.strictSame(complete('tenant', 'list', '--all', '--ex'), [], 'a flag of another verb is none')
  t.strictSame(complete('tenant', 'suspend', '--all', '--ex'), ['--except'], 'and behind a switch flags go on')
})

t.test('zsh and fish scripts know every verb, and their shells read them', async t => {
  for (const shell of ['zsh', 'fish']) {
    const { stdout: script } = await run(['completion', shell])
    for (const verb of leaves) t.ok(script.includes(verb.name()), `${shell}: ${verb.name()}`)
    const read = spawnSync(shell, ['-n'], { input: script, encoding: 'utf8' })
    if (read.error) t.comment(`NO ${shell.toUpperCase()} HERE: its completion was not tried.`)
    else t.equal(read.status, 0, read.stderr)
  }
})
