import { prepared, type Queryable } from './catalog.js'

/** What the catalog keeps of a template's files. `definition` is the parsed template.json. */
export interface TemplateRow<Definition = object> {
  id: string
  name: string
  version: number
  checksum: string
  definition: Definition
  createdAt: Date
}

const columns = 'id, name, version, checksum, definition, created_at as "createdAt"'

/** The newest version of each template that was ever used. */
export async function listTemplates(q: Queryable): Promise<TemplateRow[]> {
  return q.query<TemplateRow>(`select distinct on (name) ${columns} from saasctl.template order by name, version desc`)
}

export async function templateById(q: Queryable, id: string): Promise<TemplateRow | undefined> {
  const [row] = await q.query<TemplateRow>(prepared(`select ${columns} from saasctl.template where id = $1`), [id])
  return row
}

export async function newestTemplate<Definition = object>(
  q: Queryable,
  name: string
): Promise<TemplateRow<Definition> | undefined> {
  const [row] = await q.query<TemplateRow<Definition>>(
    `select ${columns} from saasctl.template where name = $1 order by version desc limit 1`,
    [name]
  )
  return row
}

/** The newest version that is built on any server. */
export async function builtTemplate<Definition = object>(
  q: Queryable,
  name: string
): Promise<TemplateRow<Definition> | undefined> {
  const [row] = await q.query<TemplateRow<Definition>>(
    `select ${columns} from saasctl.template t where t.name = $1 and exists (
       select from saasctl.database d where d.template_id = t.id and d.kind = 'template' and d.state = 'ready')
     order by t.version desc limit 1`,
    [name]
  )
  return row
}

/** Where new tenants of a template begin on servers of an engine: the last migration of what was built last. Undefined where nothing is built. */
export async function builtHead(
  q: Queryable,
  name: string,
  engine: string
): Promise<{ migration: string | null } | undefined> {
  const [row] = await q.query<{ migration: string | null }>(
    `select d.migration from saasctl.template t join saasctl.database d on d.template_id = t.id
       join saasctl.server s on s.id = d.server_id
     where t.name = $1 and s.engine = $2 and d.kind = 'template' and d.state = 'ready' order by t.version desc limit 1`,
    [name, engine]
  )
  return row
}

/** The version with this content, made when the content is new. Two at once agree on one. */
export async function keepTemplate<Definition extends object>(
  q: Queryable,
  template: { id: string; name: string; checksum: string; definition: Definition }
): Promise<TemplateRow<Definition>> {
  const present = await newestTemplate<Definition>(q, template.name)
  if (present?.checksum === template.checksum) return present
  const [made] = await q.query<TemplateRow<Definition>>(
    `insert into saasctl.template (id, name, version, checksum, definition) values ($1, $2, $3, $4, $5)
     on conflict (name, version) do nothing returning ${columns}`,
    [template.id, template.name, (present?.version ?? 0) + 1, template.checksum, template.definition]
  )
  return made ?? keepTemplate(q, template)
}

/** What each migration said when it was first applied anywhere, by name. */
export async function knownChecksums(q: Queryable, template: string, engine: string): Promise<Map<string, string>> {
  const rows = await q.query<{ name: string; checksum: string }>(
    prepared('select name, checksum from saasctl.migration_file where template = $1 and engine = $2'),
    [template, engine]
  )
  return new Map(rows.map(row => [row.name, row.checksum]))
}

/** Of the template that a database was made from: its version, and what its migrations said when they were first applied anywhere. */
export interface DatabaseTemplate {
  version: number
  checksums: Record<string, string>
}

export async function templateOfDatabase(q: Queryable, id: string, engine: string): Promise<DatabaseTemplate> {
  const [row] = await q.query<DatabaseTemplate>(
    prepared(
      `select t.version, (select coalesce(jsonb_object_agg(f.name, f.checksum), '{}') from saasctl.migration_file f
         where f.template = t.name and f.engine = $2) as checksums from saasctl.template t where t.id = $1`
    ),
    [id, engine]
  )
  return row ?? { version: 0, checksums: {} }
}

export async function recordChecksums(
  q: Queryable,
  template: string,
  engine: string,
  files: Array<{ name: string; checksum: string }>
): Promise<void> {
  await q.query(
    `insert into saasctl.migration_file (template, engine, name, checksum)
     select $1, $2, name, checksum from unnest($3::text[], $4::text[]) as f (name, checksum) on conflict do nothing`,
    [template, engine, files.map(file => file.name), files.map(file => file.checksum)]
  )
}
