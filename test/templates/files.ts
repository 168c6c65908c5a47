import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { asSaasctlError } from '../../src/errors.js'
import { loadPlans, loadTemplate, loadTemplates } from '../../src/templates/files.js'

const shipped = resolve('tenant-templates')

const plan = {
  displayName: 'Basic',
  limits: { connections: 4, statementTimeoutMs: 1000, idleInTransactionMs: null, tempFileMb: null },
  requests: { perSecond: 5, concurrent: null },
  features: { sso: false },
  quotas: { projects: 3 }
}

const engine = { migrations: '../../migrations', seeds: ['seed.sql'] }

const template = {
  description: 'A small one.',
  defaultPlan: 'basic',
  labels: { product: 'notes' },
  engines: { postgres: engine }
}

/** The templates folder of a project with one plan and one template; any file can be given other content. */
async function project(t: Test, files: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-templates-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await mkdir(join(folder, 'migrations'))
  await mkdir(join(folder, 'templates/small'), { recursive: true })
  const contents = {
    'plans.json': JSON.stringify({ basic: plan }),
    'small/template.json': JSON.stringify(template),
    'small/seed.sql': 'select 1;\n',
    ...files
  }
  for (const [file, content] of Object.entries(contents)) await writeFile(join(folder, 'templates', file), content)
  return join(folder, 'templates')
}

/** What the error says about the files, one line each. */
async function problems(t: Test, reading: Promise<unknown>): Promise<unknown> {
  const error = asSaasctlError(await t.rejects(reading, { code: 'CONFIG_INVALID' }))
  return error.data?.['problems']
}

t.test('the templates and plans that come with the program are valid', async t => {
  const templates = await loadTemplates(shipped)
  t.strictSame(
    templates.map(template => template.name),
    ['demo', 'standard']
  )
  const plans = await loadPlans(shipped)
  t.strictSame(
    plans.map(plan => plan.name),
    ['free', 'pro', 'enterprise']
  )
})

t.test('a template comes with the folder of its migrations and the text of its seeds', async t => {
  const folder = await project(t)
  const read = await loadTemplate(folder, 'small')
  t.equal(read.defaultPlan, 'basic')
  t.strictSame(read.engines, {
    postgres: { migrations: resolve(folder, '../migrations'), seeds: [{ file: 'small/seed.sql', sql: 'select 1;\n' }] }
  })
  t.strictSame(read.definition, template, 'what the catalog keeps has no path of this machine')
})

t.test('a plan says what the server, the router and the application allow', async t => {
  const [basic] = await loadPlans(await project(t))
  t.match(basic, { name: 'basic', ...plan })
})

t.test('a template may use a seed of another', async t => {
  const demo = await loadTemplate(shipped, 'demo')
  t.strictSame(
    demo.engines.postgres?.seeds.map(seed => seed.file),
    ['standard/seed.postgres.sql', 'demo/seed.postgres.sql']
  )
})

t.test('what was read cannot be changed', async t => {
  const folder = await project(t)
  const read = await loadTemplate(folder, 'small')
  const [basic] = await loadPlans(folder)
  const postgres = read.engines.postgres
  const parts = [read, read.labels, read.definition, read.definition.engines.postgres, read.engines, postgres]
  for (const part of [...parts, postgres?.seeds, postgres?.seeds[0], basic, basic?.limits, basic?.features]) {
    t.ok(part !== undefined && Object.isFrozen(part))
  }
})

t.test('a checksum stays while the content stays, wherever the files are and however they are written', async t => {
  const folder = await project(t)
  const { labels, ...others } = template
  const elsewhere = await project(t, {
    'plans.json': JSON.stringify({ basic: plan }, null, 2),
    'small/template.json': JSON.stringify({ labels, ...others }, null, 2)
  })
  t.equal((await loadTemplate(elsewhere, 'small')).checksum, (await loadTemplate(folder, 'small')).checksum)
  t.equal((await loadPlans(elsewhere))[0]?.checksum, (await loadPlans(folder))[0]?.checksum)
})

t.test('a checksum changes with one letter of a seed, a template or a plan', async t => {
  const folder = await project(t)
  const { checksum } = await loadTemplate(folder, 'small')
  const [before] = await loadPlans(folder)
  await writeFile(join(folder, 'small/seed.sql'), 'select 2;\n')
  const seeded = await loadTemplate(folder, 'small')
  t.not(seeded.checksum, checksum)
  await writeFile(join(folder, 'small/template.json'), JSON.stringify({ ...template, description: 'A small one!' }))
  t.not((await loadTemplate(folder, 'small')).checksum, seeded.checksum)
  await writeFile(join(folder, 'plans.json'), JSON.stringify({ basic: { ...plan, quotas: { projects: 4 } } }))
  t.not((await loadPlans(folder))[0]?.checksum, before?.checksum)
})

t.test('an unknown template is named, with those that there are', async t => {
  const folder = await project(t)
  await t.rejects(loadTemplate(folder, 'large'), { code: 'TEMPLATE_NOT_FOUND', hint: /small/ })
  await t.rejects(loadTemplate(folder, '../templates/small'), { code: 'TEMPLATE_NOT_FOUND' })
  await t.rejects(loadTemplate(folder, ''), { code: 'TEMPLATE_NOT_FOUND' })
})

t.test('every problem of every file is told at once, with its path', async t => {
  const folder = await project(t, {
    'plans.json': JSON.stringify({
      basic: { ...plan, limits: { connections: 1, statementTimeoutMs: '5s', idleInTransactionMs: 0.5 }, colour: 'red' },
      'Big Plan': { ...plan, features: { sso: 'yes', single_sign_on: true } }
    }),
    'small/template.json': JSON.stringify({
      description: ' ',
      labels: { 'Bad Key': 'x', fine: 7 },
      engines: { oracle: engine, postgres: { migrations: 5, seeds: 'seed.sql' } },
      'de\u202escription': 'x'
    })
  })
  t.strictSame(await problems(t, loadTemplates(folder)), [
    'plans.json: basic.colour is not known; use displayName, limits, requests, features, quotas, backup',
    'plans.json: basic.limits.connections is 1, but must be a whole number from 2 to 10000',
    'plans.json: basic.limits.statementTimeoutMs is "5s", but must be a whole number from 1 to 86400000 or null',
    'plans.json: basic.limits.idleInTransactionMs is 0.5, but must be a whole number from 1 to 86400000 or null',
    'plans.json: basic.limits.tempFileMb is missing, and must be a whole number from 1 to 1048576 or null',
    'plans.json: "Big Plan" is "Big Plan", but must be a name of a-z, 0-9 and single dashes, starting with a letter',
    'plans.json: "Big Plan".features.sso is "yes", but must be true or false',
    'plans.json: "Big Plan".features.single_sign_on is "single_sign_on", but must be a name in camelCase',
    'small/template.json: "de\\u202escription" is not known; use description, defaultPlan, labels, engines, export',
    'small/template.json: description is " ", but must be a text that is not empty',
    'small/template.json: defaultPlan is missing, and must be a name of a-z, 0-9 and single dashes, starting with a letter',
    'small/template.json: labels."Bad Key" is "Bad Key", but must be a name of a-z, 0-9 and single dashes, starting with a letter',
    'small/template.json: labels.fine is 7, but must be a text that is not empty',
    'small/template.json: engines.oracle is "oracle", but must be one of postgres, mysql',
    'small/template.json: engines.postgres.migrations is 5, but must be a text that is not empty',
    'small/template.json: engines.postgres.seeds is "seed.sql", but must be a list'
  ])
})

t.test('files that a template names must be there, and seeds must be within the templates folder', async t => {
  const seeds = ['gone.sql', '../../secrets.sql', '/etc/hostname']
  const folder = await project(t, {
    'small/template.json': JSON.stringify({
      ...template,
      defaultPlan: 'gold',
      engines: { postgres: { migrations: '../../nowhere', seeds } }
    })
  })
  t.strictSame(await problems(t, loadTemplate(folder, 'small')), [
    'small/template.json: defaultPlan is "gold", but must be one of basic',
    'small/template.json: engines.postgres.migrations is "../../nowhere", where there is no folder',
    'small/template.json: engines.postgres.seeds[0] names small/gone.sql, which is missing',
    'small/template.json: engines.postgres.seeds[1] is "../../secrets.sql", but must be a file within the templates folder',
    'small/template.json: engines.postgres.seeds[2] is "/etc/hostname", but must be a file within the templates folder'
  ])
})

t.test('a file that is missing or no JSON is one problem, not many', async t => {
  const folder = await project(t, { 'plans.json': '{"basic": ' })
  await mkdir(join(folder, 'empty'))
  const told = await problems(t, loadTemplates(folder))
  t.match(told, [/^plans\.json: is not JSON: /, /^empty\/template\.json: is missing$/])
  const nowhere = await problems(t, loadTemplates(join(folder, 'nowhere')))
  t.strictSame(nowhere, ['plans.json: is missing'])
})

t.test('a feature or quota that one plan forgot is a problem: the application could not tell it from "no"', async t => {
  const other = { ...plan, features: { sso: true, audit: true }, quotas: {} }
  const folder = await project(t, { 'plans.json': JSON.stringify({ basic: plan, other }) })
  t.strictSame(await problems(t, loadPlans(folder)), [
    'plans.json: basic.features.audit is missing; "other" has it',
    'plans.json: other.quotas.projects is missing; "basic" has it'
  ])
})

t.test('a template without an engine and a file without a plan are problems', async t => {
  const folder = await project(t, { 'plans.json': '{}' })
  t.strictSame(await problems(t, loadPlans(folder)), ['plans.json: has no plan'])
  const engineless = await project(t, { 'small/template.json': JSON.stringify({ ...template, engines: {} }) })
  t.strictSame(await problems(t, loadTemplates(engineless)), [
    'small/template.json: engines is empty; it needs postgres or mysql'
  ])
})

t.test('one problem reads as a sentence with the path in it', async t => {
  const folder = await project(t, { 'plans.json': JSON.stringify({ basic: { ...plan, displayName: '' } }) })
  await t.rejects(loadPlans(folder), {
    message: `The templates folder ${folder} has a problem: plans.json: basic.displayName is "", but must be a text that is not empty.`
  })
})

t.test('a member named like a part of every object is no feature', async t => {
  const folder = await project(t, { 'plans.json': JSON.stringify({ basic: plan }).replace('"sso"', '"__proto__"') })
  t.match(await problems(t, loadPlans(folder)), [/basic\.features\.__proto__ /])
})

t.test('a broken template does not hide behind a good one', async t => {
  const folder = await project(t)
  await cp(join(folder, 'small'), join(folder, 'Other'), { recursive: true })
  t.match(await problems(t, loadTemplates(folder)), [/^Other: is "Other", but must be a name/])
  await t.resolves(loadTemplate(folder, 'small'), 'the good one alone is fine')
})
