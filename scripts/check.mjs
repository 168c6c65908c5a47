// `npm test`: the whole check. Build and types, lint, then every test on servers that it starts itself.
// With arguments, only those test files, by their path under test/ without the ending: `npm test -- operations/ledger`.
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { build, checkNode, install, root, run } from './prepare.mjs'

checkNode()
install()
const chosen = process.argv.slice(2)
if (chosen.length === 0) rmSync(`${root}dist`, { recursive: true, force: true })
build({ always: true })
if (chosen.length === 0) run('npx', ['biome', 'check', '--error-on-warnings'])

// A tap that finds other plugins in .taprc than it was built with builds itself anew, but goes on as the old one.
run('npx', ['tap', 'build'])

// The reporter is for people; the counts for CI are read from the stream that every reporter is made from.
const files = chosen.map(name => `dist/test/${name}.js`)
const tap = spawn('npx', ['tap', 'run', '--disable-coverage', '--reporter=tap', ...files], {
  cwd: root,
  stdio: ['inherit', 'pipe', 'inherit']
})
let counts = ''
let rest = ''
tap.stdout.setEncoding('utf8')
tap.stdout.on('data', chunk => {
  rest += chunk
  const lines = rest.split('\n')
  rest = lines.pop() ?? ''
  for (const line of lines) say(line)
})
tap.on('close', code => {
  say(rest)
  const { pass = 0, fail = 0, skip = 0 } = readCounts(counts)
  console.log(`${pass} passed, ${fail} failed, ${skip} skipped`)
  process.exit(code ?? 1)
})

/** Files as they end, failures whole, loud lines of what could not run; the rest of the stream is for machines. */
let failing = false
function say(line) {
  if (line.startsWith('# {')) counts = line
  const file = /^(not )?ok \d+ - (.*?)(?: # (.*))?$/.exec(line)
  if (file) console.log(`${file[1] ? 'FAILED' : 'ok    '} ${file[2]}${file[3] ? ` (${file[3]})` : ''}`)
  if (/^\s*not ok/.test(line)) failing = true
  else if (/^\s*ok /.test(line)) failing = false
  if (!file && (failing || /^\s*# [A-Z]{2,} [A-Z]{2,}/.test(line) || line.startsWith('# time='))) console.log(line)
}

function readCounts(line) {
  return Object.fromEntries([...line.matchAll(/(\w+): (\d+)/g)].map(([, key, value]) => [key, Number(value)]))
}
