// Brings a fresh clone to where its programs run: dependencies as the lockfile says, then the build. Repeating it is cheap.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs a program with our terminal; ends this process with its exit code when it fails. */
export function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
    ...options
  })
  if (error) console.error(`${program} could not be run: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  console.error(`saasctl needs Node 20.19 or newer; this is ${process.versions.node}.`)
  process.exit(1)
}

const changed = file => (existsSync(file) ? statSync(file).mtimeMs : 0)

export function install() {
  const installed = changed(`${root}node_modules/.package-lock.json`)
  if (installed >= changed(`${root}package-lock.json`)) return
  console.log('Installing dependencies (once).')
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}

const sources = ['src', 'cli', 'test', 'bench', 'examples']

function newest(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, changed(`${entry.parentPath ?? entry.path}/${entry.name}`)), 0)
}

/** Compiles when a source is newer than the last build, or when told to. */
export function build({ always = false } = {}) {
  const built = changed(`${root}dist/cli/main.js`)
  const latest = Math.max(...sources.map(folder => newest(`${root}${folder}`)), changed(`${root}tsconfig.json`))
  if (!always && built >= latest) return
  console.log('Building.')
  run('npm', ['run', '--silent', 'build'])
}
