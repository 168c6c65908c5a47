import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { ServerRow } from '../../src/catalog/servers.js'
import type { EngineName, Tls } from '../../src/engines/engine.js'
import { readAddress } from '../address.js'
import { printFindings } from '../findings.js'
import { collectNewLabels, count } from '../flags.js'
import { verb } from '../help.js'
import { givesPassword, type PasswordFlags, passwordFlags, readPassword } from '../password.js'
import { type Session, withSaasctl } from '../session.js'
import { serverColumns, serverView } from '../views.js'

interface Options extends PasswordFlags {
  engine?: EngineName
  host?: string
  port?: number
  login?: string
  maintenance?: string
  tls?: Tls['mode']
  tlsCa?: string
  region?: string
  label?: Record<string, string>
  capacity?: number
  routerConnections?: number
}

export function server(noun: Command): void {
  const add = verb(noun, 'add <name> [address]', 'Add a database server, after looking whether it is ready', [
    'server add eu-1 postgres://saasctl_server@db1.example:5432',
    'server add eu-1 --host db1.example --login saasctl_server --region eu --capacity 2000',
    'server add eu-1 postgres://saasctl_server@db1.example --password-stdin < secret'
  ])
    .addOption(new Option('--engine <engine>', 'what it runs').choices(['postgres', 'mysql']))
    .option('--maintenance <database>', 'the database that control sessions sit in')
    .addOption(new Option('--tls <mode>', 'disable is for loopback and sockets').choices(['verify-full', 'disable']))
    .option('--tls-ca <file>', 'the authority of its certificate, PEM')
  passwordFlags(placeFlags(add), 'the control login’s password').action(withSaasctl(addServer))
  verb(noun, 'list', 'List the servers', ['server list']).alias('ls').action(withSaasctl(listServers))
  verb(noun, 'show <name>', 'Show one server', ['server show eu-1']).alias('get').action(withSaasctl(showServer))
  const update = verb(noun, 'update <name>', 'Change where a server is, its login or what it may hold', [
    'server update eu-1 --capacity 3000',
    'server update eu-1 --router-connections 150',
    'server update eu-1 --password-stdin < new-secret  # tried before it is stored'
  ])
  placeFlags(update).option('--router-connections <n>', 'how many connections all routers together may hold', count)
  passwordFlags(update, 'the new password').action(withSaasctl(updateServer))
  verb(noun, 'check <name>', 'Look for every right and setting that is needed; exit 8 when one is missing', [
    'server check eu-1'
  ]).action(withSaasctl(checkServer))
  verb(noun, 'cordon <name>', 'Send new databases elsewhere; those that are there stay', ['server cordon eu-1']).action(
    withSaasctl((session, _options: object, name: string) => change(session, 'cordonServer', name))
  )
  verb(noun, 'uncordon <name>', 'Let new databases come again', ['server uncordon eu-1']).action(
    withSaasctl((session, _options: object, name: string) => change(session, 'uncordonServer', name))
  )
  verb(noun, 'remove <name>', 'Forget a server that holds nothing of ours; it is not touched itself', [
    'server remove eu-1'
  ])
    .alias('rm')
    .action(withSaasctl((session, _options: object, name: string) => change(session, 'removeServer', name)))
}

function placeFlags(command: Command): Command {
  return command
    .option('--host <host>', 'its host name, address or socket folder')
    .option('--port <port>', 'its port', count)
    .option('--login <login>', 'the control login')
    .option('--region <name>', 'where it is, for "tenant create --region"')
    .option('--label <key=value>', 'a label; several with commas', collectNewLabels)
    .option('--capacity <n>', 'how many databases it may hold', count)
}

async function addServer(
  { saasctl, print, progress }: Session,
  options: Options,
  name: string,
  address?: string
): Promise<void> {
  const { addServer: add } = await import('../../src/servers/add.js')
  const { maintenance, region, label: labels, capacity } = options
  const place = readAddress(address, options)
  const password = await readPassword(`the password of ${place.login}`, options)
  const tls = await tlsOf(options)
  const { server, findings } = await add(saasctl, {
    name,
    maintenance,
    region,
    labels,
    capacity,
    ...place,
    password,
    tls
  })
  for (const { level, message } of findings) if (level === 'warning') progress.notice(`warning: ${message}`)
  printServers({ print }, [server])
  progress.next('Make a tenant on it: saasctl tenant create SLUG')
}

async function tlsOf({ tls, tlsCa }: Options): Promise<Tls | undefined> {
  const ca = tlsCa === undefined ? undefined : await readFile(tlsCa, 'utf8')
  return tls === undefined && ca === undefined
    ? undefined
    : { mode: tls ?? 'verify-full', ...(ca !== undefined && { ca }) }
}

async function listServers({ saasctl, print, progress }: Session): Promise<void> {
  const { listServers: list } = await import('../../src/catalog/servers.js')
  const servers = await list(saasctl.catalog)
  print.list(servers.map(serverView), [...serverColumns])
  if (servers.length === 0)
    progress.next('There is no server yet. Add one: saasctl server add NAME postgres://LOGIN@HOST')
}

async function showServer({ saasctl, print }: Session, _options: object, name: string): Promise<void> {
  const { findServer } = await import('../../src/servers/find.js')
  print.one(serverView(await findServer(saasctl.catalog, name)))
}

async function updateServer({ saasctl, print }: Session, options: Options, name: string): Promise<void> {
  const { updateServer: update } = await import('../../src/servers/change.js')
  const { host, port, login, region, capacity, routerConnections, label: labels } = options
  const password = givesPassword(options) ? await readPassword('the new password', options) : undefined
  printServers({ print }, [
    await update(saasctl, name, { host, port, login, region, capacity, routerConnections, labels, password })
  ])
}

async function checkServer(session: Session, _options: object, name: string): Promise<void> {
  const { checkServer: check } = await import('../../src/servers/change.js')
  const { findings } = await check(session.saasctl, name)
  printFindings(session, findings, `server ${name}`)
}

async function change(
  { saasctl, print }: Session,
  verb: 'cordonServer' | 'uncordonServer' | 'removeServer',
  name: string
): Promise<void> {
  const verbs = await import('../../src/servers/change.js')
  printServers({ print }, [await verbs[verb](saasctl, name)])
}

function printServers({ print }: Pick<Session, 'print'>, servers: ServerRow[]): void {
  const views = servers.map(serverView)
  if (print.forPrograms) for (const view of views) print.one(view)
  else print.list(views, [...serverColumns])
}
