import type { EngineName } from '../engines/engine.js'
import { plans } from './plans.js'

export interface ProjectFile {
  /** From the project's folder. */
  path: string
  text: string
}

export interface Project {
  template: string
  engine: EngineName
  /** Of a tenant that was made without one; one of those that plans.json has. */
  plan: string
}

/** Without `catalog` the embedded server is used, so that the first tenant needs nothing else. */
export function configFile({ template }: Project): ProjectFile {
  return { path: 'saasctl.json', text: json({ templates: 'tenant-templates', template }) }
}

export const plansFile: ProjectFile = { path: 'tenant-templates/plans.json', text: plans }

export function templateFile({ template, engine, plan }: Project): ProjectFile {
  const definition = {
    description: 'What a new tenant starts with.',
    defaultPlan: plan,
    labels: {},
    engines: { [engine]: { migrations: `../../${migrationsFolder(engine)}`, seeds: [] } }
  }
  return { path: `tenant-templates/${template}/template.json`, text: json(definition) }
}

/** Where an empty machine needs one more command before the first tenant: not every one has the other engine. */
export const startServer: Record<EngineName, string[]> = { postgres: [], mysql: ['saasctl dev start --mysql'] }

export const migrationsFolder = (engine: EngineName) => `tenant-migrations/${engine}`

export function migrationFile(engine: EngineName): ProjectFile {
  return { path: `${migrationsFolder(engine)}/0001_members.sql`, text: migrations[engine] }
}

/** Empty members stay on one line. */
function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

const head = `-- Up Migration
-- The first table of every tenant: no tenant_id anywhere, each tenant has a database of its own.
-- Change it while nothing is applied yet; later, "saasctl migration new NAME" makes the next file.
`

const migrations: Record<EngineName, string> = {
  postgres: `${head}create table members (
  id bigint generated always as identity primary key,
  email varchar(254) not null unique,
  name varchar(200) not null,
  joined_at timestamptz not null default now()
);

-- Down Migration
drop table members;
`,
  mysql: `${head}create table members (
  id bigint unsigned not null auto_increment primary key,
  email varchar(254) not null unique,
  name varchar(200) not null,
  joined_at timestamp not null default current_timestamp
);

-- Down Migration
drop table members;
`
}
