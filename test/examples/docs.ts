import { execFile } from 'node:child_process'
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { packageFolder } from '../../src/config.js'
import { errorTable } from '../../src/errors.js'

const run = promisify(execFile)
const docs = (await readdir(join(packageFolder, 'docs'))).map(name => join('docs', name))
const pages = ['README.md', 'CONTRIBUTING.md', ...docs]
const read = (page: string) => readFile(join(packageFolder, page), 'utf8')

/** Code in pages: a block that begins with a file's name is that file, whole. Files of one page may import each other. */
const blocksOf = (text: string) => [...text.matchAll(/^```ts\n(?:\/\/ ([a-z-]+\.ts)\n)?([\s\S]*?)^```$/gm)]

/** The compiler's complaints about all files of a page. */
async function complaints(folder: string, page: string, text: string): Promise<string> {
  const place = join(folder, page.replaceAll(/\W/g, '-'))
  await mkdir(place)
  for (const [, name, code = ''] of blocksOf(text)) if (name) await writeFile(join(place, name), code, { flag: 'wx' })
  await writeFile(
    join(place, 'tsconfig.json'),
    JSON.stringify({
      extends: join(packageFolder, 'tsconfig.json'),
      compilerOptions: { noEmit: true },
      include: ['*.ts']
    })
  )
  const tsc = join(packageFolder, 'node_modules', 'typescript', 'bin', 'tsc')
  // tap loads itself into every Node that is spawned, and tsc cannot be loaded behind it.
  return run('env', ['-u', 'NODE_OPTIONS', process.execPath, tsc, '-p', place]).then(
    () => '',
    ({ message, stdout }) => `${message}${stdout}`
  )
}

t.test('code in the pages compiles as a user would write it', async t => {
  const folder = t.testdir()
  let checked = 0
  for (const page of pages) {
    const text = await read(page)
    const named = blocksOf(text).filter(([, name]) => name !== undefined)
    if (named.length === 0) continue
    checked += named.length
    t.equal(await complaints(folder, page, text), '', page)
  }
  t.ok(checked >= 6, `${checked} files were compiled`)
  const wrong = "```ts\n// wrong.ts\nimport { router } from 'saasctl/router'\nrouter.nothing()\n```\n"
  t.match(await complaints(folder, 'wrong.md', wrong), /wrong\.ts.*'nothing' does not exist/)
})

t.test('all code of the router’s page is whole files', async t => {
  const blocks = blocksOf(await read('docs/router.md'))
  t.ok(blocks.length >= 5)
  t.strictSame(
    blocks.filter(([, name]) => name === undefined),
    []
  )
})

t.test('the statuses of the router’s page are those of the table of errors', async t => {
  const rows = [...(await read('docs/router.md')).matchAll(/^\| (\d{3}) \| `([A-Z_]+)` \|/gm)]
  t.ok(rows.length >= 8)
  for (const [, status, code = ''] of rows) {
    t.equal(Number(status), errorTable[code as keyof typeof errorTable]?.status, code)
  }
})

t.test('links lead somewhere, and npm scripts that the pages name exist', async t => {
  const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> }
  for (const page of pages) {
    const text = await read(page)
    for (const [, to = ''] of text.matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g)) {
      await t.resolves(access(join(packageFolder, dirname(page), to)), `${page}: ${to}`)
    }
    for (const [, name = ''] of text.matchAll(/\bnpm run ([a-z-]+)/g)) t.ok(scripts[name], `${page}: npm run ${name}`)
  }
})
