import { join } from 'node:path'
import { packageFolder } from '../src/settings.js'
import { alternate } from './support/measure.js'
import { benchPlane, chosenMedium, create, session } from './support/plane.js'
import { runProgram } from './support/processes.js'
import { figure, ms, note } from './support/report.js'
import { claim, fillPool } from './support/warm-pool.js'

// What a copied template saves over making each customer's database from nothing with the migration tool's own program:
// as its manual says to start it, with npx, and started directly.
const plane = await benchPlane(chosenMedium('memory'), {
  // The tool logs in to the new database as the control login, which the embedded server's own rules would not let in.
  hba: 'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'
})
try {
  const { access, server } = plane
  const { login, password } = access.control
  const control = await session(access, 'postgres', access.control)
  const migrations = join(packageFolder, 'tenant-migrations', 'postgres')
  const direct = join(packageFolder, 'node_modules', '.bin', 'node-pg-migrate')
  let made = 0
  const fromZero = async (program: string, args: string[]) => {
    const database = `tool_${++made}`
    await control.query(`create database ${database}`)
    const schema = ['--migrations-schema', 'saasctl', '--create-migrations-schema']
    await runProgram({
      program,
      args: [...args, 'up', '--migrations-dir', migrations, ...schema],
      cwd: packageFolder,
      env: {
        npm_config_update_notifier: 'false',
        DATABASE_URL: `postgres://${login}:${password.reveal()}@${server.host}:${server.port}/${database}`
      }
    })
  }
  const tool = {
    npx: () => fromZero('npx', ['--no-install', 'node-pg-migrate']),
    direct: () => fromZero(direct, [])
  }
  const rounds = { rounds: 8, warmUp: 2 }
  const cold = await alternate({ ours: () => create(plane, `cold-${++made}`), ...tool }, rounds)
  await fillPool(plane, rounds.rounds + rounds.warmUp)
  const warm = await alternate({ ours: () => claim(plane, `warm-${++made}`), ...tool }, rounds)
  await control.end()
  for (const [from, took] of Object.entries({ 'the template': cold, 'the warm pool': warm })) {
    figure({
      what: `from zero with npx node-pg-migrate, or a create from ${from}`,
      measured: ms(took.npx.median),
      against: ms(took.ours.median),
      ratio: took.npx.median / took.ours.median,
      target: { atLeast: 10 }
    })
    note(`without npx ${ms(took.direct.median)}: ${(took.direct.median / took.ours.median).toFixed(2)}x`)
  }
} finally {
  await plane.close()
}
