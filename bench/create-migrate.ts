import { join } from 'node:path'
import { packageFolder } from '../src/settings.js'
import { alternate } from './support/measure.js'
import { benchPlane, chosenMedium, create, session } from './support/plane.js'
import { node } from './support/processes.js'
import { figure, ms } from './support/report.js'

// What a copied template saves over making each customer's database from nothing with the migration tool's own program.
const plane = await benchPlane(chosenMedium('disk'), {
  // The tool logs in to the new database as the control login, which the embedded server's own rules would not let in.
  hba: 'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'
})
try {
  const { access, server } = plane
  const control = await session(access, 'postgres', access.control)
  const program = join(packageFolder, 'node_modules', 'node-pg-migrate', 'bin', 'node-pg-migrate.js')
  const migrations = join(packageFolder, 'tenant-migrations', 'postgres')
  const { login, password } = access.control
  let made = 0
  const { template, tool } = await alternate(
    {
      template: () => create(plane, `template-${++made}`),
      tool: async () => {
        const database = `tool_${++made}`
        await control.query(`create database ${database}`)
        const url = `postgres://${login}:${password.reveal()}@${server.host}:${server.port}/${database}`
        const schema = ['--migrations-schema', 'saasctl', '--create-migrations-schema']
        await node({
          args: [program, 'up', '--migrations-dir', migrations, '--migration-file-language', 'sql', ...schema],
          cwd: packageFolder,
          env: { DATABASE_URL: url }
        })
      }
    },
    { rounds: 10, warmUp: 2 }
  )
  await control.end()
  figure({
    what: 'from zero with the node-pg-migrate program',
    measured: ms(tool.median),
    against: `create from the template ${ms(template.median)}`,
    ratio: tool.median / template.median,
    target: { atLeast: 10 }
  })
} finally {
  await plane.close()
}
