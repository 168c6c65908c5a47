import { authorityFile } from '../authority-file.js'
import { type Child, startTool } from '../child.js'
import type { Credentials, ServerAddress } from '../engine.js'
import type { Tool } from '../tools.js'
import { SCHEMA } from './furnish.js'
import { shell } from './shell.js'

/** What is dumped, and as whom. */
export interface Dumped {
  server: ServerAddress
  database: string
  owner: Credentials
}

/** Starts pg_dump, which changes nothing. */
export async function startDump({ server, database, owner }: Dumped, tool: Tool, more: string[]): Promise<Child> {
  const { env, remove } = await environmentOf(server, database, owner)
  const child = startTool(tool.path, [...rules, ...more], env)
  void child.ended.then(remove)
  return child
}

const rules = [
  '--format=custom',
  '--no-password',
  '--no-tablespaces',
  '--no-security-labels',
  '--no-subscriptions',
  // The ledger of migrations beside it goes along.
  `--exclude-table=${SCHEMA}.identity`
]

/** libpq's own variables, for arguments are for every user of the machine to read. The authority's file is removed at the end. */
export async function environmentOf(server: ServerAddress, database: string, owner: Credentials) {
  const { env, files } = shell(server, database, owner, { readOnly: true })
  const { path, remove } = await authorityFile(files?.['PGSSLROOTCERT'])
  // Over the system's tables, thinking about workers and compiling takes longer than reading: 3 of 35 ms.
  const options = `${env['PGOPTIONS']} -c jit=off -c max_parallel_workers_per_gather=0`
  return { env: { ...env, PGAPPNAME, PGOPTIONS: options, ...(path !== undefined && { PGSSLROOTCERT: path }) }, remove }
}

const PGAPPNAME = 'saasctl/dump'
