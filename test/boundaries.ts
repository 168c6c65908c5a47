import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { packageFolder } from '../src/config.js'

/** A file of the program, by its path from the package's folder. */
interface Source {
  path: string
  text: string
}

interface Arrow {
  from: string
  to: string
  /** Gone after compiling: it ties two texts together, not two programs. */
  typeOnly: boolean
  /** `import()`: loaded when the code gets there, so it makes no circle at the start. */
  lazy: boolean
}

async function read(folder: string): Promise<Source[]> {
  const names = (await readdir(join(packageFolder, folder), { recursive: true })).filter(name => name.endsWith('.ts'))
  const read = async (path: string) => ({ path, text: await readFile(join(packageFolder, path), 'utf8') })
  return Promise.all(names.sort().map(name => read(`${folder}/${name}`)))
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(?:(type\s+)?(\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+(?:\s*,\s*\{[^}]*\})?)\s+from\s+)?'(\.[^']*)'|\bimport\(\s*'(\.[^']*)'\s*\)/g

/** The arrows of one file: every import and re-export of another file of ours. */
function arrowsOf({ path, text }: Source): Arrow[] {
  return [...withoutComments(text).matchAll(IMPORT)].map(([, type, names = '', from, dynamic]) => {
    const to = normalize(join(dirname(path), from ?? dynamic ?? '')).replace(/\.js$/, '.ts')
    const list = /^\{(.*)\}$/s
      .exec(names)?.[1]
      ?.split(',')
      .filter(name => name.trim() !== '')
    const typeOnly = type !== undefined || (list?.every(name => /^\s*type\s/.test(name)) ?? false)
    return { from: path, to, typeOnly, lazy: dynamic !== undefined }
  })
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

const base = [
  'canonical',
  'closers',
  'config',
  'disk',
  'duration',
  'errors',
  'names',
  'scram',
  'secret',
  'setting-parsers',
  'settings',
  'system-reason',
  'version'
]

/** Each part of the program, and the parts that it may import. Who is not in another's list is above it or beside it. */
const below: Record<string, string[]> = { base: [], ...layers() }

function layers(): Record<string, string[]> {
  const allowed: Record<string, string[]> = {}
  const lower = ['base']
  for (const layer of [
    ['catalog', 'engines', 'secrets', 'stores'],
    ['operations', 'routing'],
    ['databases', 'operators'],
    ['archives'],
    ['templates'],
    ['tenants', 'servers', 'keys', 'doctor', 'migrations', 'init', 'rollouts', 'fleet', 'exports', 'audit'],
    ['backups', 'restores', 'rescue'],
    ['embedded']
  ]) {
    for (const part of layer) allowed[part] = [...lower]
    lower.push(...layer)
  }
  allowed['embedded'] = ['base', 'catalog']
  for (const part of ['kinds', 'approvable', 'way-in', 'saasctl', 'worker', 'router', 'index', 'testing']) {
    allowed[part] = [...lower]
    lower.push(part)
  }
  allowed['cli'] = lower
  return allowed
}

function partOf(path: string): string {
  const [root, second = ''] = path.split('/')
  if (root === 'cli') return 'cli'
  const name = second.replace(/\.ts$/, '')
  return base.includes(name) ? 'base' : name
}

interface Exception {
  from: RegExp
  to: RegExp
  why: string
}

/** Arrows that go up or aside on purpose. All but those marked `value` are types, gone after compiling. */
const allowedTypes: Exception[] = [
  {
    from: /^src\/catalog\//,
    to: /^src\/engines\/engine\.ts$/,
    why: 'columns of the catalog hold what the engines’ contract names: engine, limits, capabilities'
  }
]

function upward(arrows: Arrow[]): string[] {
  return arrows
    .filter(arrow => {
      const [from, to] = [partOf(arrow.from), partOf(arrow.to)]
      if (from === to || below[from]?.includes(to)) return false
      return !(
        arrow.typeOnly && allowedTypes.some(exception => exception.from.test(arrow.from) && exception.to.test(arrow.to))
      )
    })
    .map(({ from, to, typeOnly }) => `${from} imports ${typeOnly ? 'types of ' : ''}${to}`)
}

/** Files that import each other in a circle at run time: which is loaded first would be a matter of luck. */
function circles(arrows: Arrow[]): string[] {
  const next = new Map<string, string[]>()
  for (const { from, to, typeOnly, lazy } of arrows)
    if (!typeOnly && !lazy) next.set(from, [...(next.get(from) ?? []), to])
  const found = new Set<string>()
  const done = new Set<string>()
  const walk = (path: string, way: string[]) => {
    const at = way.indexOf(path)
    if (at >= 0) found.add([...way.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    for (const to of next.get(path) ?? []) walk(to, [...way, path])
    done.add(path)
  }
  for (const path of next.keys()) walk(path, [])
  return [...found]
}

interface Rule {
  what: string
  pattern: RegExp
  /** Where it may stand, and why. */
  allowed: Record<string, string>
}

const rules: Rule[] = [
  {
    what: 'reads process.env',
    pattern: /process\s*\.\s*env|process\s*\[\s*'env'/,
    allowed: {
      'src/config.ts': 'the one reader of settings',
      'cli/environment.ts': 'SAASCTL_* for flags that are no settings, and what goes on to a child such as psql'
    }
  },
  {
    what: 'names an engine',
    pattern: /'(?:postgres|mysql)'/,
    allowed: {
      'src/engines/': 'engines know their own names',
      'src/embedded/': 'PostgreSQL by definition; mostly the name of its program and user',
      'src/servers/embedded.ts': 'the embedded server is PostgreSQL by definition',
      'src/templates/template.ts': 'the schema of template.json',
      'src/init/init.ts': 'the engine of a new project, unless told otherwise',
      'cli/address.ts': 'what the schemes of addresses mean',
      'cli/commands/server.ts': 'the choices of --engine',
      'cli/commands/tenant/create.ts': 'the choices of --engine',
      'cli/commands/tenant/enter.ts': '"tenant psql" and "tenant mysql" are names that people type'
    }
  },
  { what: 'says "any"', pattern: /[:<,|&(]\s*any\b(?!\()(?:\[\])?\s*[,;)=>|&{\n]|\bas any\b/, allowed: {} },
  { what: 'turns a check off', pattern: /@ts-(?:ignore|expect-error|nocheck)/, allowed: {} },
  {
    what: 'leaves work for later',
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/,
    allowed: {}
  }
]

/** A rule about comments reads them, the others must not stumble over them. */
function broken({ what, pattern, allowed }: Rule, sources: Source[]): string[] {
  const inComments = /later|check off/.test(what)
  return sources
    .filter(({ path, text }) => pattern.test(inComments ? text : withoutComments(text)) && !mayStand(path, allowed))
    .map(({ path }) => `${path} ${what}`)
}

function mayStand(path: string, allowed: Rule['allowed']): boolean {
  return Object.keys(allowed).some(where => (where.endsWith('/') ? path.startsWith(where) : path === where))
}

const LONGEST = 300

function tooLong(sources: Source[]): string[] {
  return sources
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LONGEST)
    .map(({ path, lines }) => `${path} has ${lines} lines: look for a second noun`)
}

const sources = [...(await read('src')), ...(await read('cli'))]
const arrows = sources.flatMap(arrowsOf)

t.test('imports point downwards only', async t => {
  t.ok(arrows.length > 300, `${arrows.length} imports were read`)
  t.strictSame(upward(arrows), [])
  const unknown = new Set(sources.map(({ path }) => partOf(path)).filter(part => below[part] === undefined))
  t.strictSame([...unknown], [], 'every part of the program has its place in the layers')
})

t.test('no file imports itself in a circle', async t => {
  t.strictSame(circles(arrows), [])
})

t.test('what is allowed once is not allowed everywhere, and has not outlived its reason', async t => {
  for (const { from, to, why } of allowedTypes) {
    t.ok(
      arrows.some(arrow => from.test(arrow.from) && to.test(arrow.to)),
      `still needed: ${why}`
    )
  }
  for (const { what, pattern, allowed } of rules) {
    for (const where of Object.keys(allowed)) {
      const inside = sources.filter(({ path }) => (where.endsWith('/') ? path.startsWith(where) : path === where))
      t.ok(
        inside.some(({ text }) => pattern.test(text)),
        `${where} still ${what}`
      )
    }
  }
})

for (const rule of rules) {
  t.test(`no file ${rule.what} but those that must`, async t => {
    t.strictSame(broken(rule, sources), [])
  })
}

t.test(`no file is longer than ${LONGEST} lines`, async t => {
  t.strictSame(tooLong(sources), [])
})

t.test('this test finds what it looks for', async t => {
  const from = (path: string, ...lines: string[]) => ({ path, text: `${lines.join('\n')}\n` })
  const found = (source: Source) => upward(arrowsOf(source))
  const create = "'../tenants/create.js'"
  for (const line of [
    `import { createTenant } from ${create}`,
    `import type { NewTenant } from ${create}`,
    `import { type NewTenant } from ${create}`,
    `import {\n  createTenant,\n  type NewTenant\n} from ${create}`,
    `import * as create from ${create}`,
    `import ${create}`,
    `export * from ${create}`,
    `export { createTenant } from ${create}`,
    `const { createTenant } = await import(${create})`,
    `let create: typeof import(${create})`,
    `/* a comment */ // another\nimport { createTenant } from ${create}`
  ]) {
    t.equal(found(from('src/catalog/x.ts', line)).length, 1, line)
    t.equal(found(from('src/servers/x.ts', line)).length, 1, 'siblings do not import each other')
    t.equal(found(from('src/tenants/x.ts', line)).length, 0, 'one part’s own files may')
  }
  t.equal(found(from('cli/commands/x.ts', `import { createTenant } from '../../src/tenants/create.js'`)).length, 0)
  t.equal(found(from('src/names.ts', `import { open } from './saasctl.js'`)).length, 1)
  t.equal(found(from('src/catalog/x.ts', `import type { Tls } from '../engines/engine.js'`)).length, 0)
  t.equal(found(from('src/catalog/x.ts', `import { loginRoles } from '../engines/engine.js'`)).length, 1)
  t.equal(found(from('src/catalog/x.ts', `// import { createTenant } from ${create}`)).length, 0)

  const ring = [
    from('src/a.ts', `import './b.js'`),
    from('src/b.ts', `import './c.js'`),
    from('src/c.ts', `import './b.js'`)
  ]
  t.strictSame(circles(ring.flatMap(arrowsOf)), ['src/b.ts → src/c.ts → src/b.ts'])

  const lines: Record<string, string[]> = {
    'reads process.env': ['process.env', `process['env'].PATH`, 'const { PATH } = process.env'],
    'names an engine': [`if (engine === 'mysql')`],
    'says "any"': ['x: any', 'x as any', 'Array<any>', '(x: any) => x', 'Record<string, any>', 'x: any[]'],
    'turns a check off': ['// @ts-expect-error'],
    'leaves work for later': ['// TODO: later']
  }
  for (const rule of rules) {
    for (const line of lines[rule.what] ?? []) t.equal(broken(rule, [from('src/tenants/x.ts', line)]).length, 1, line)
    t.strictSame(broken(rule, [from('src/tenants/x.ts', `const many = 'any env' // any process.env`)]), [])
  }
  t.equal(tooLong([from('src/x.ts', ...Array.from({ length: LONGEST }, () => ''))]).length, 0)
  t.equal(tooLong([from('src/x.ts', ...Array.from({ length: LONGEST + 1 }, () => ''))]).length, 1)
})
