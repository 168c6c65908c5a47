import { relative } from 'node:path'
import type { Command } from 'commander'
import type { EmbeddedStatus } from '../../src/embedded/embedded.js'
import { confirmLoss } from '../confirm.js'
import { collectNames } from '../flags.js'
import { verb } from '../help.js'
import { type Desk, inSession, withDesk } from '../session.js'

interface StartOptions {
  mysql?: boolean
}

interface ResetOptions {
  confirm?: string[]
}

export function dev(noun: Command): void {
  verb(noun, 'start', 'Start the embedded server, made at the first time', [
    'dev start',
    'dev start --mysql  # and a MariaDB or MySQL beside it, from now on'
  ])
    .option('--mysql', 'with the machine’s MariaDB or MySQL, for tenants on it')
    .action(withDesk(start))
  verb(noun, 'stop', 'Stop the embedded server; its data stays', ['dev stop']).action(withDesk(stop))
  verb(noun, 'status', 'Look whether the embedded server runs, and where', ['dev status'])
    .alias('show')
    .action(withDesk(status))
  verb(noun, 'reset', 'Delete the embedded server with all of its databases', [
    'dev reset',
    'dev reset --confirm local'
  ])
    .option('--confirm <name>', 'agrees to the loss, for scripts: local', collectNames)
    .action(withDesk(reset))
}

async function start(desk: Desk, { mysql = false }: StartOptions): Promise<void> {
  const { progress } = desk
  await inSession(desk, { ...desk.config(), catalog: null }, async ({ saasctl }) => {
    if (mysql) {
      const { addEmbeddedMysql } = await import('../../src/saasctl.js')
      const { version, port } = await addEmbeddedMysql(saasctl, sentence => progress.notice(sentence))
      progress.notice(`The server local-mysql (${version}) listens on port ${port}.`)
    }
    await status(desk)
  })
  desk.progress.next('Make a tenant: saasctl tenant create SLUG')
}

async function stop(desk: Desk): Promise<void> {
  const stopped = await (await server(desk)).stop()
  desk.progress.notice(
    stopped ? 'The embedded server is stopped; its data stays.' : 'The embedded server was not running.'
  )
}

async function status(desk: Desk): Promise<void> {
  const [{ mysqlStatus }, embedded] = await Promise.all([import('../../src/embedded/mysql.js'), server(desk)])
  const [catalog, mysql] = await Promise.all([embedded.status(), mysqlStatus(desk.config().home)])
  desk.print.one({ ...statusView(catalog), ...(mysql && { mysql }) })
}

async function reset(desk: Desk, { confirm = [] }: ResetOptions): Promise<void> {
  const { home } = desk.config()
  const place = relative(process.cwd(), home) || home
  await confirmLoss(`Every database of the embedded server in ${place} will be gone for good.`, 'local', confirm)
  await (await server(desk)).reset()
  desk.progress.notice('The embedded server and its databases are gone; the keys stay.')
}

async function server({ config }: Desk) {
  const { embedded } = await import('../../src/embedded/embedded.js')
  const { home, path } = config()
  return embedded(home, { path })
}

function statusView(status: EmbeddedStatus): object {
  if (status.state !== 'running') return status
  const { version, host, port, pid, dataDir, binDir, logFile } = status.server
  return { state: status.state, version, host, port, pid, dataDir, binDir, logFile }
}
