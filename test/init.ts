import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../src/config.js'
import { loadMigrations } from '../src/engines/migration-files.js'
import { lint } from '../src/engines/postgres/lint/lint.js'
import { initProject } from '../src/init/init.js'
import { newTemplateMigration } from '../src/migrations/new.js'
import { loadPlans, loadTemplates } from '../src/templates/files.js'

async function folder(t: Pick<Tap, 'teardown'>): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'saasctl-init.'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return made
}
type Tap = typeof import('tap').t

const text = (...path: string[]) => readFile(join(...path), 'utf8')

t.test('an empty folder becomes a project that loads as it is', async t => {
  const project = await folder(t)
  const { written, kept, next } = await initProject(project)
  t.same(written, [
    'tenant-templates/plans.json',
    'tenant-templates/standard/template.json',
    'tenant-migrations/postgres/0001_members.sql',
    'saasctl.json'
  ])
  t.same(kept, [])
  t.equal(next[1], 'saasctl tenant create acme')
  const config = loadConfig({ cwd: join(project, 'tenant-templates'), env: {} })
  t.equal(config.project, project)
  t.equal(config.templates, join(project, 'tenant-templates'))
  t.equal(config.template, 'standard')
  t.equal(config.catalog, null, 'and the embedded catalog is used')
  const [template] = await loadTemplates(config.templates)
  t.match(template, { name: 'standard', defaultPlan: 'free' })
  t.equal((await loadPlans(config.templates)).length, 2)
  const files = await loadMigrations(template?.engines.postgres?.migrations ?? '')
  t.same(await lint(files), [], 'its first migration is one that "migration check" has nothing against')
})

t.test('initialising again writes nothing and changes nothing', async t => {
  const project = await folder(t)
  const first = await initProject(project)
  await writeFile(join(project, 'saasctl.json'), '{ "template": "mine" }')
  const second = await initProject(project)
  t.same(second.written, [])
  t.same(second.kept.sort(), first.written.sort())
  t.equal(await text(project, 'saasctl.json'), '{ "template": "mine" }')
})

t.test('it does what is missing around files of one’s own', async t => {
  const project = await folder(t)
  await mkdir(join(project, 'tenant-migrations/postgres'), { recursive: true })
  await writeFile(join(project, 'tenant-migrations/postgres/1700000000000_mine.sql'), 'create table mine (id int);\n')
  await mkdir(join(project, 'tenant-templates'))
  const plans = (await text('tenant-templates', 'plans.json')).replace('"free"', '"hobby"')
  await writeFile(join(project, 'tenant-templates/plans.json'), plans)
  const { kept } = await initProject(project, { template: 'shop' })
  t.same(kept, ['tenant-templates/plans.json', 'tenant-migrations/postgres/1700000000000_mine.sql'])
  const [template] = await loadTemplates(join(project, 'tenant-templates'))
  t.match(template, { name: 'shop', defaultPlan: 'hobby' })
  t.equal(loadConfig({ cwd: project, env: {} }).template, 'shop')
  t.equal((await loadMigrations(template?.engines.postgres?.migrations ?? '')).length, 1)
})

t.test('each engine gets a project that loads', async t => {
  const project = await folder(t)
  await initProject(project, { engine: 'mysql' })
  const [template] = await loadTemplates(join(project, 'tenant-templates'))
  t.same(Object.keys(template?.engines ?? {}), ['mysql'])
  const files = await loadMigrations(template?.engines.mysql?.migrations ?? '', { backslashes: true })
  t.match(files, [{ name: '0001_members', down: /drop table members/ }])
})

t.test('in a git repository the home is ignored, once', async t => {
  const repository = await folder(t)
  await mkdir(join(repository, '.git'))
  const project = join(repository, 'packages', 'shop')
  await mkdir(project, { recursive: true })
  await writeFile(join(project, '.gitignore'), 'node_modules')
  t.ok((await initProject(project)).written.includes('.gitignore'))
  t.equal(await text(project, '.gitignore'), 'node_modules\n.saasctl/\n')
  t.ok((await initProject(project)).kept.includes('.gitignore'))
  t.equal(await text(project, '.gitignore'), 'node_modules\n.saasctl/\n')
})

t.test('a link in the place of a file is not followed', async t => {
  const project = await folder(t)
  const outside = join(await folder(t), 'outside.json')
  await symlink(outside, join(project, 'saasctl.json'))
  t.same((await initProject(project)).kept, ['saasctl.json'])
  await t.rejects(text(outside), { code: 'ENOENT' })
})

t.test('a bad template name, broken plans and a folder that cannot be written are said', async t => {
  const project = await folder(t)
  await t.rejects(initProject(project, { template: '../up' }), { code: 'INVALID_INPUT' })
  await writeFile(join(project, 'tenant-templates'), 'a file')
  await t.rejects(initProject(project), { code: 'FAILED', hint: /run "saasctl init" again/ })
  await rm(join(project, 'tenant-templates'))
  await mkdir(join(project, 'tenant-templates'))
  await writeFile(join(project, 'tenant-templates/plans.json'), '{')
  await t.rejects(initProject(project), { code: 'CONFIG_INVALID' })
})

t.test('the next migration of the new project goes on from its first', async t => {
  const project = await folder(t)
  await initProject(project)
  const { name } = await newTemplateMigration(join(project, 'tenant-templates'), 'standard', 'Add phone')
  t.equal(name, '0002_add_phone')
})
