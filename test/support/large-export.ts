import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { createExport } from '../../src/exports/create.js'
import type { Container } from '../../src/exports/pack.js'
import { verifyExport } from '../../src/exports/verify.js'
import { createTenant } from '../../src/tenants/create.js'
import { controlPlane } from './control-plane.js'
import { asSuperuser, scratch } from './servers.js'
import { tinyTemplate } from './tiny-template.js'

const run = promisify(execFile)

/** What a process may grow by, however much goes through it: a tar's parts of 32 MB are held until their size is known. */
const FLAT_BYTES = 300e6

/** What other people unpack with, as far as it is on this machine; each looks at every byte of its kind of archive. */
const readers: Partial<Record<Container, string[][]>> = {
  zip: [
    ['unzip', '-tqq'],
    ['python3', '-m', 'zipfile', '-t'],
    ['bsdtar', '-xOf']
  ],
  'tar.gz': [
    ['tar', '-xzOf'],
    ['python3', '-m', 'tarfile', '-t'],
    ['bsdtar', '-xOf']
  ]
}

export interface LargeExport {
  gigabytes: number
  containers: Container[]
  /** Where the exports go; the table is with the servers of the suite. */
  folder?: string
  say(sentence: string): void
}

/**
 * Exports one table of so many gigabytes that nothing compresses, into each kind of container, verifies it and has others
 * unpack it. Gives what was wrong, one sentence each.
 */
export async function largeExport({ gigabytes, containers, folder: place, say }: LargeExport): Promise<string[]> {
  const findings: string[] = []
  const template = await tinyTemplate()
  await template.grow({ up: 'create unlogged table big (id bigint, noise bytea);', down: 'drop table big;' })
  const plane = await controlPlane({ env: template.env })
  const folder = await mkdtemp(join(place ?? scratch, 'saasctl-large.'))
  let base = 0
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss)
  }, 50)
  try {
    const { saasctl } = plane
    const { tenant } = await createTenant(saasctl, { slug: 'large' }, { template: 'tiny' }, { wait: true })
    const rows = Math.ceil((gigabytes * 1e9) / 4096)
    await asSuperuser(
      plane.server,
      client =>
        client.query(
          `insert into big select n, (select string_agg(sha512((n || ' ' || i)::bytea), '') from generate_series(1, 64) i)
           from generate_series(1, $1) n`,
          [rows]
        ),
      tenant.database ?? ''
    )
    base = process.memoryUsage().rss
    for (const container of containers) {
      const file = join(folder, container === 'folder' ? 'large' : `large.${container}`)
      const wish = { container, target: pathToFileURL(file).href, masked: false, certificate: null, reason: 'a test' }
      peak = 0
      const began = Date.now()
      await createExport(saasctl, 'large', { ...wish, formats: ['csv'] }, { wait: true })
      const written = Date.now()
      const verdict = await verifyExport(file)
      const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(0)
      const bytes = container === 'folder' ? verdict.bytes : (await stat(file)).size
      say(
        `${container}: ${(bytes / 1e9).toFixed(2)} GB of ${rows} rows in ${seconds(began, written)} s, verified in ${seconds(written, Date.now())} s, ${((peak - base) / 1e6).toFixed(0)} MB of memory`
      )
      if (!verdict.intact) findings.push(`${container}: ${JSON.stringify(verdict.problems[0])}`)
      if (verdict.says?.rows !== rows + 1)
        findings.push(`${container}: ${verdict.says?.rows} rows instead of ${rows + 1}`)
      if (peak - base > FLAT_BYTES) findings.push(`${container}: memory grew by ${((peak - base) / 1e6).toFixed(0)} MB`)
      for (const [program = '', ...args] of readers[container] ?? []) {
        const said = await run('/bin/sh', ['-c', '"$0" "$@" >/dev/null', program, ...args, file]).then(
          () => 'reads it',
          (error: { code: number; stderr: string }) => (error.code === 127 ? 'is not here' : error.stderr.slice(-200))
        )
        say(`${container}: ${program} ${said}`)
        if (!/^(?:reads it|is not here)$/.test(said)) findings.push(`${container}: ${program} says ${said}`)
      }
      await rm(file, { recursive: true })
    }
  } finally {
    clearInterval(watch)
    await plane.close()
    await template.remove()
    await rm(folder, { recursive: true, force: true })
  }
  return findings
}
