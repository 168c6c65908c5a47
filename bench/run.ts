import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'

// Runs every benchmark beside this file, or those that are named, one after the other: each alone with the machine.
const folder = import.meta.dirname
const all = (await readdir(folder))
  .filter(name => name.endsWith('.js') && name !== basename(import.meta.filename))
  .map(name => basename(name, '.js'))
  .sort()
const asked = process.argv.slice(2)
const missing = asked.filter(name => !all.includes(name))
if (missing.length > 0) {
  console.error(`There is no benchmark ${missing.join(', ')}: ${all.join(', ')}.`)
  process.exit(2)
}

const short: string[] = []
for (const name of asked.length > 0 ? asked : all) {
  console.log(`\n${name}`)
  if ((await run(join(folder, `${name}.js`))) !== 0) short.push(name)
}
if (short.length > 0) {
  console.log(`\nShort of a target: ${short.join(', ')}.`)
  process.exitCode = 1
}

function run(file: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    spawn(process.execPath, [file], { stdio: 'inherit' }).on('error', reject).on('close', resolve)
  })
}
