import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Catalog } from '../src/catalog/catalog.js'
import { checkVersion, readInstance } from '../src/catalog/instance.js'
import { orphanedOperations } from '../src/catalog/operations.js'
import { listTenants } from '../src/catalog/tenants.js'
import { packageFolder } from '../src/settings.js'
import { alternate } from './support/measure.js'
import { benchPlane, create } from './support/plane.js'
import { runProgram } from './support/processes.js'
import { figure, ms, note } from './support/report.js'

// Whole processes, from the start to the exit, beside one that runs an empty file.
const rounds = { rounds: 15, warmUp: 3 }

const cwd = await mkdtemp(join(tmpdir(), 'saasctl-bench.'))
const plane = await benchPlane('memory')
try {
  for (let index = 0; index < 20; index += 1) await create(plane, `tenant-${index}`)
  const empty = join(cwd, 'empty.mjs')
  await writeFile(empty, '')
  const main = join(packageFolder, 'dist', 'cli', 'main.js')
  const { env } = plane
  const took = await alternate(
    {
      empty: () => runProgram({ args: [empty], cwd, env }),
      help: () => runProgram({ args: [main, '--help'], cwd, env }),
      // A shell that names certificates (NODE_EXTRA_CA_CERTS) makes every Node start 25 ms later, the empty one too.
      emptyAlone: () => alone(empty),
      helpAlone: () => alone(main, '--help'),
      list: () => runProgram({ args: [main, 'tenant', 'list'], cwd, env }),
      queries: () => queries(env['SAASCTL_CATALOG_URL'] ?? '')
    },
    rounds
  )
  const [bare, asked] = [took.empty.median, took.queries.median]
  figure({
    what: 'saasctl --help',
    measured: ms(took.help.median),
    against: `an empty Node process ${ms(bare)}`,
    ratio: took.help.median / bare,
    target: { atMost: 1.6 }
  })
  figure({
    what: 'saasctl tenant list',
    measured: ms(took.list.median),
    against: `an empty Node process and its queries ${ms(bare)} + ${ms(asked)}`,
    ratio: took.list.median / (bare + asked),
    target: { atMost: 3 }
  })
  note(`counted against the process alone: ${((took.list.median - asked) / bare).toFixed(2)}x`)
  const emptied = took.helpAlone.median / took.emptyAlone.median
  note(
    `--help in an empty environment: ${ms(took.helpAlone.median)} of ${ms(took.emptyAlone.median)}, ${emptied.toFixed(2)}x`
  )
} finally {
  await plane.close()
  await rm(cwd, { recursive: true, force: true })
}

/** A Node process in an environment that holds nothing. */
function alone(...args: string[]): Promise<void> {
  return runProgram({ program: '/usr/bin/env', args: ['-i', process.execPath, ...args], cwd })
}

/** What the command asks of the catalog, on a connection opened for it. */
async function queries(url: string): Promise<void> {
  const catalog = new Catalog(url)
  await checkVersion(await readInstance(catalog))
  await Promise.all([orphanedOperations(catalog), listTenants(catalog, {}, { limit: 1000 })])
  await catalog.close()
}
