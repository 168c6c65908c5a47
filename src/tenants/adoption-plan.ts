import { isKnownDatabase } from '../catalog/adoptions.js'
import { serverByName } from '../catalog/servers.js'
import { findTenant } from '../catalog/tenants.js'
import { serverAccess } from '../databases/access.js'
import { migrationsChecksum } from '../databases/plan-migrations.js'
import type { MigrationFile, Survey } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { databaseIdOf, parseSlug, quoteInput } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { firstFiles } from '../templates/baseline.js'
import { schemaReference } from '../templates/reference.js'
import { currentPlan, currentTemplate, readTemplate } from '../templates/register.js'
import type { Chosen } from './foreign.js'
import { slugTaken } from './slugs.js'

export interface AdoptionWish {
  slug: string
  server: string
  /** The database as it is called on the server. */
  database: string
  template: string
  plan?: string | undefined
  /** The last migration that is in it, or `none`; found out when it is not said. */
  baseline?: string | undefined
}

export interface AdoptionPlan {
  chosen: Chosen
  survey: Survey
  /** What it will be called, and who will own it and enter it. */
  becomes: { database: string; owner: string; logins: string[] }
}

/**
 * What an adoption would change, without changing anything: whose the database is, who would lose rights to it, what control
 * lacks. Also reads, once per template and server, the schemas that it will be compared with.
 */
export async function planAdoption(context: Context, wish: AdoptionWish, follow: Follow = {}): Promise<AdoptionPlan> {
  const slug = parseSlug(wish.slug)
  if (await findTenant(context.catalog, slug)) throw slugTaken(slug)
  const chosen = await chooseFor(context, wish)
  const files = await templateFiles(context, chosen)
  if (wish.baseline !== undefined) firstFiles(files, wish.baseline)
  await checkFree(context, chosen, wish.database)
  const [engine, access] = await Promise.all([
    context.engine(chosen.server.engine),
    serverAccess(context.keys, chosen.server)
  ])
  const survey = await engine.survey(access, wish.database)
  await readReferences(context, chosen, follow)
  const { database, logins } = engine.adoptedNames('00000000-0000-7000-8000-000000000000', wish.database)
  const opaque = database !== wish.database
  return {
    chosen,
    survey,
    becomes: {
      database: opaque ? 'a name of ours, as every tenant’s' : wish.database,
      owner: opaque ? 'an owner login of its own' : 'nobody; databases have no owners here',
      logins: Object.keys(logins)
    }
  }
}

/** Template, plan and server by their names. SERVER_NOT_FOUND, TEMPLATE_NOT_FOUND, PLAN_NOT_FOUND. */
export async function chooseFor(
  context: Context,
  wish: { server: string; template: string; plan?: string | undefined }
): Promise<Chosen> {
  const server = await serverByName(context.catalog, wish.server)
  if (!server) {
    throw new SaasctlError('SERVER_NOT_FOUND', `There is no server ${quoteInput(wish.server)}.`, {
      hint: 'See "saasctl server list".'
    })
  }
  const template = await currentTemplate(context, wish.template)
  const plan = await currentPlan(context, wish.plan ?? template.definition.defaultPlan)
  if (!template.definition.engines[server.engine]) {
    throw new SaasctlError('INVALID_INPUT', `Template ${template.name} is not for servers as ${server.name}.`, {
      hint: 'Name a template that has its engine.'
    })
  }
  return { server, template, plan }
}

/** Every schema that the template's files have made, read on a scratch database unless the catalog has them. */
export async function readReferences(context: Context, chosen: Chosen, follow: Follow): Promise<void> {
  const { template, server } = chosen
  const files = await templateFiles(context, chosen)
  const checksum = migrationsChecksum(files, files)
  await schemaReference(context, { template: template.name, server, checksum }, follow)
}

export async function templateFiles({ folders }: Context, { template, server }: Chosen): Promise<MigrationFile[]> {
  return (await readTemplate(folders.templates, template.name)).migrations[server.engine] ?? []
}

async function checkFree({ catalog }: Context, { server }: Chosen, database: string): Promise<void> {
  if (databaseIdOf(database) === undefined && !(await isKnownDatabase(catalog, server.id, database))) return
  throw new SaasctlError('INVALID_INPUT', `Database ${quoteInput(database)} is one of ours already.`, {
    hint: 'Find its tenant with "saasctl tenant list".'
  })
}

/** SERVER_RIGHTS with every statement that an administrator is to run. */
export function refuseLacking({ survey }: AdoptionPlan): void {
  const lacking = survey.lacking.filter(({ level }) => level === 'error')
  if (lacking.length === 0) return
  throw new SaasctlError('SERVER_RIGHTS', lacking.map(({ message }) => message).join(' '), {
    hint: `An administrator runs: ${lacking.map(({ fix }) => fix).join(' ')}`,
    data: { lacking }
  })
}
