// Writes the tables of docs/errors.md and docs/configuration.md from the tables in the code. Run it after a build.
// With --check it writes nothing and fails when a page says something else.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { settings } from '../dist/src/config.js'
import { errorTable } from '../dist/src/errors.js'

const check = process.argv.includes('--check')
process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000]
]

/** The default as one would write it. */
function written(value) {
  if (value === null || String(value) === '') return ''
  if (typeof value === 'boolean') return value ? '`yes`' : '`no`'
  if (typeof value !== 'number' || value < 1_000) return `\`${value}\``
  const [unit, size] = units.find(([, size]) => value % size === 0)
  return `\`${value / size}${unit}\``
}

/** What differs from machine to machine is told in the text. */
const told = new Set(['operator', 'path', 'production'])

function table(head, rows) {
  const line = cells => `| ${cells.join(' | ')} |`.replaceAll(/\| +(?=\|)/g, '| ')
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

function write(name, text) {
  const file = `docs/${name}.md`
  const page = readFileSync(file, 'utf8')
  const next = page.replace(/(<!-- table -->\n)[\s\S]*(<!-- \/table -->)/, (_, begin, end) => `${begin}${text}\n${end}`)
  if (next === page) return
  if (!check) return writeFileSync(file, next)
  console.error(`${file} is not what the code says: run "node scripts/docs.mjs" after a build.`)
  process.exitCode = 1
}

write(
  'errors',
  table(
    ['code', 'exit', 'status', 'what it stands for'],
    Object.entries(errorTable).map(([code, { exit, status, about }]) => [`\`${code}\``, exit, status, about])
  )
)
write(
  'configuration',
  table(
    ['environment', 'saasctl.json', 'default', 'what it is'],
    Object.entries(settings).map(([name, { env, file, fallback, about }]) => {
      return [`\`${env}\``, file ? `\`${file}\`` : '', told.has(name) ? '' : written(fallback('')), about]
    })
  )
)
