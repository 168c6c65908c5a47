import { canonical, type Json } from '../canonical.js'
import { chainPage, dossierOf } from '../catalog/dossier.js'
import type { DatabaseParts } from '../databases/work.js'
import type { LineFormat, Snapshot } from '../engines/snapshot.js'
import { signer } from '../secrets/signing.js'
import { packageVersion } from '../version.js'
import { attest, type Predicate } from './attestation.js'
import { Bag } from './bag.js'
import { fileNames, type Resource, resourceOf, withHead } from './datapackage.js'
import type { Masks } from './mask.js'
import type { Pack } from './pack.js'
import type { SchemaAtMoment } from './schema.js'

export interface Contents {
  parts: DatabaseParts
  tenant: { id: string; slug: string }
  template: string
  export: { id: string; formats: LineFormat[]; asked: Predicate['asked'] }
  masks: Masks
  snapshot: Snapshot
  schema: SchemaAtMoment
  signal: AbortSignal
  progress: (sentence: string) => void
}

export interface Outcome {
  rows: number
  keyId: string
}

/** Writes everything into the pack, in one moment of the database, and signs it last. */
export async function writeBag(pack: Pack, contents: Contents): Promise<Outcome> {
  const { parts, tenant, snapshot, schema, masks, signal } = contents
  const redactions = masks.redactions(snapshot.tables)
  const bag = new Bag(pack)
  await bag.add('schema.sql', schema.sql)
  const resources = await writeTables(bag, contents)
  const { migrations } = schema
  await bag.add(
    'datapackage.json',
    pretty(
      packageOf(
        contents,
        resources,
        migrations.map(({ name }) => name)
      )
    )
  )
  await bag.add('migrations.json', pretty(migrations))
  const { tenant: settings, access, backups } = await dossierOf(parts.tools.catalog, tenant.id)
  await bag.add('tenant.json', pretty(settings))
  await bag.add('access.json', pretty(access))
  await bag.add('backups.json', pretty(backups))
  await bag.addParts('audit.jsonl', chainOf(contents))
  const tagManifest = await bag.close({
    'External-Identifier': contents.export.id,
    'External-Description': `Tenant ${tenant.slug}`,
    'Bagging-Date': snapshot.at.toISOString().slice(0, 10)
  })
  const rows = resources.filter(({ format }) => format === contents.export.formats[0])
  const count = rows.reduce((sum, resource) => sum + resource.saasctl.rows, 0)
  const key = await signer(parts.tools.keys)
  const predicate: Predicate = {
    export: contents.export.id,
    tenant,
    snapshot: {
      position: snapshot.position,
      at: snapshot.at.toISOString(),
      server: snapshot.serverVersion,
      schema: schema.proof
    },
    tool: `saasctl ${packageVersion()}`,
    formats: contents.export.formats,
    tables: snapshot.tables.length,
    rows: count,
    redactions,
    missing: snapshot.missing,
    asked: contents.export.asked
  }
  signal.throwIfAborted()
  await bag.attach(attest(key, tagManifest, predicate))
  return { rows: count, keyId: key.keyId }
}

async function writeTables(bag: Bag, { snapshot, masks, export: wish, progress }: Contents): Promise<Resource[]> {
  const names = fileNames(snapshot.tables)
  const resources: Resource[] = []
  for (const table of snapshot.tables) {
    const masking = masks.for(table)
    for (const format of wish.formats) {
      const lines = snapshot.lines(table, format, masking)
      const whole = withHead(table, format, masking, lines.stream)
      const parts = await bag.addParts(`tables/${names.get(table)}.${format}`, whole)
      resources.push(resourceOf({ table, format, masking, rows: lines.rows(), parts, names }))
    }
    const rows = resources.at(-1)?.saasctl.rows
    progress(`${table.name}: ${rows} ${rows === 1 ? 'row' : 'rows'}`)
  }
  return resources
}

/** What `data/datapackage.json` says beside Frictionless's own members. */
export interface PackageFacts {
  engine: string
  template: string
  migrations: string[]
  masked: boolean
  sequences: Record<string, string>
}

function packageOf(
  { parts, tenant, template, export: wish, snapshot, masks }: Contents,
  resources: Resource[],
  migrations: string[]
) {
  const facts: PackageFacts = {
    engine: parts.engine.name,
    template,
    migrations,
    masked: masks.redactions(snapshot.tables).length > 0,
    sequences: snapshot.sequences
  }
  return {
    profile: 'data-package',
    id: wish.id,
    name: tenant.slug,
    created: snapshot.at.toISOString(),
    resources,
    saasctl: facts
  }
}

const PAGE = 500

async function* chainOf({ parts, tenant }: Contents): AsyncGenerator<Buffer> {
  for (let after = 0, more = true; more; ) {
    const page = await chainPage(parts.tools.catalog, `tenant:${tenant.id}`, after, PAGE)
    after = page.at(-1)?.seq ?? after
    more = page.length === PAGE
    yield Buffer.from(page.map(line => `${canonical(line as unknown as Json)}\n`).join(''))
  }
}

const pretty = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
