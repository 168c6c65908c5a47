import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageFolder } from '../src/settings.js'
import { Samples, timed } from './support/measure.js'
import { runProgram } from './support/processes.js'
import { figure } from './support/report.js'

// From an empty folder to a server with a catalog and keys. A deadline, because a person waits for it: on the disk.
const seconds = 4

const main = join(packageFolder, 'dist', 'cli', 'main.js')
const times: number[] = []
for (let round = 0; round < 3; round += 1) {
  const cwd = await mkdtemp(join(tmpdir(), 'saasctl-bench.'))
  const env = { SAASCTL_HOME: join(cwd, '.saasctl') }
  try {
    times.push(await timed(() => runProgram({ args: [main, 'dev', 'start'], cwd, env })))
  } finally {
    await runProgram({ args: [main, 'dev', 'stop'], cwd, env })
    await rm(cwd, { recursive: true, force: true })
  }
}
const took = new Samples(times).median / 1000
figure({
  what: 'saasctl dev start, from nothing',
  measured: `${took.toFixed(2)} s`,
  against: `the deadline ${seconds} s`,
  ratio: took / seconds,
  target: { atMost: 1 }
})
