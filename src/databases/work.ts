import { type DatabaseRow, databaseById, templateToCopy } from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import { type ServerRow, serverById } from '../catalog/servers.js'
import { templateById } from '../catalog/templates.js'
import type { ActingSession, DatabaseNames, Engine, Fence, ServerAccess } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Tools, Work } from '../operations/kind.js'
import { serverAccess } from './access.js'
import { Logins } from './logins.js'

/** What the steps on one database share: where it is, what it is called, its logins, and the session that acts. */
export class DatabaseWork implements Work {
  readonly operation: OperationRow
  readonly tools: Tools
  readonly database: DatabaseRow
  readonly server: ServerRow
  readonly engine: Engine
  readonly access: ServerAccess
  readonly names: DatabaseNames
  readonly logins: Logins
  #session: ActingSession | undefined

  constructor(operation: OperationRow, parts: DatabaseParts) {
    this.operation = operation
    this.tools = parts.tools
    this.database = parts.database
    this.server = parts.server
    this.engine = parts.engine
    this.access = parts.access
    this.logins = parts.logins
    this.names = parts.names
  }

  /** The fenced session; the runner enters before the first step that acts. */
  get session(): ActingSession {
    if (!this.#session) throw new SaasctlError('FENCED', 'A step acted on the server before the fence was taken.')
    return this.#session
  }

  /**
   * What excludes whom on the server. Opening and closing logins goes one at a time; it does not wait for a migration,
   * because a suspension must not.
   */
  protected get part(): 'logins' | 'schema' {
    return 'logins'
  }

  async enter(fence: Fence): Promise<void> {
    this.#session = await this.engine.enter(this.access, { ...fence, lock: `${this.database.id}/${this.part}` })
  }

  async leave(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.end()
  }
}

/** A database that is made as a copy of its template's database on the same server. */
export class CopyWork extends DatabaseWork {
  #template: { database: DatabaseRow; logins: Logins } | undefined

  /** The template to copy; read when first needed, because it may still be in the making when the copy is promised. */
  async template(): Promise<{ database: DatabaseRow; logins: Logins; names: DatabaseNames }> {
    const { catalog, keys } = this.tools
    if (!this.#template) {
      const database = await templateToCopy(catalog, this.database.id)
      if (!database) throw await notBuilt(this.tools, this.database.templateId, this.server.name)
      this.#template = { database, logins: await Logins.of(catalog, keys, database.id) }
    }
    return { ...this.#template, names: this.engine.names(this.#template.database.id) }
  }
}

/** Everything that the catalog and the key store know of one database. */
export interface DatabaseParts {
  tools: Tools
  database: DatabaseRow
  server: ServerRow
  engine: Engine
  access: ServerAccess
  names: DatabaseNames
  logins: Logins
}

export async function gather(tools: Tools, databaseId: string): Promise<DatabaseParts> {
  const [database, logins] = await Promise.all([
    databaseById(tools.catalog, databaseId),
    Logins.of(tools.catalog, tools.keys, databaseId)
  ])
  if (!database) throw new SaasctlError('FAILED', `The catalog has no database ${databaseId}.`)
  const server = await serverById(tools.catalog, database.serverId)
  if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `The catalog has no server ${database.serverId}.`)
  const [engine, access] = await Promise.all([tools.engine(server.engine), serverAccess(tools.keys, server)])
  // An adopted database may have kept a name of its own.
  const names = { ...engine.names(databaseId), database: database.name }
  return { tools, database, server, engine, access, names, logins }
}

async function notBuilt(tools: Tools, templateId: string, server: string): Promise<SaasctlError> {
  const template = await templateById(tools.catalog, templateId)
  const name = template?.name ?? templateId
  return new SaasctlError('TEMPLATE_NOT_FOUND', `Template ${name} is not built on server ${server}.`, {
    hint: `Run "saasctl template build ${name} --server ${server}".`
  })
}
