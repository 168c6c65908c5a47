import { join } from 'node:path'
import { packageFolder } from '../src/settings.js'
import { alternate } from './support/measure.js'
import { benchPlane, chosenMedium, create, session } from './support/plane.js'
import { runProgram } from './support/processes.js'
import { figure, ms } from './support/report.js'

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
  const took = await alternate(
    {
      template: () => create(plane, `template-${++made}`),
      npx: () => fromZero('npx', ['--no-install', 'node-pg-migrate']),
      direct: () => fromZero(direct, [])
    },
    { rounds: 10, warmUp: 2 }
  )
  await control.end()
  const against = `create from the template ${ms(took.template.median)}`
  figure({
    what: 'CREATE DATABASE and npx node-pg-migrate',
    measured: ms(took.npx.median),
    against,
    ratio: took.npx.median / took.template.median,
    target: { atLeast: 10 }
  })
  figure({
    what: 'the same without npx',
    measured: ms(took.direct.median),
    against,
    ratio: took.direct.median / took.template.median
  })
} finally {
  await plane.close()
}
