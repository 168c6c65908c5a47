import { resolve } from 'node:path'
import type { Json } from '../canonical.js'
import { tenantEvent } from '../catalog/audit.js'
import type { OperationRow } from '../catalog/operations.js'
import { builtHead } from '../catalog/templates.js'
import type { PlacedTenant } from '../catalog/tenants.js'
import { activate, createSteps, type Filling, forget } from '../databases/create-steps.js'
import { CopyWork, gather } from '../databases/work.js'
import type { EngineName } from '../engines/engine.js'
import type { TableRows } from '../engines/snapshot.js'
import { SaasctlError } from '../errors.js'
import type { Context, Kind, Tools } from '../operations/kind.js'
import { readTemplate } from '../templates/register.js'
import { BagReader, type PackageFile, readPackage } from './read-bag.js'
import { readRows } from './read-rows.js'
import { verifyExport } from './verify.js'

export interface ImportInput extends Record<string, Json> {
  tenantId: string
  databaseId: string
  slug: string
  /** On the machine of whoever works it. */
  file: string
}

class ImportWork extends CopyWork {
  rows: Record<string, number> = {}
}

/** Makes a tenant with the rows of an export. Until the last step nobody sees it; a failure leaves nothing of it. */
export const exportImport: Kind<ImportInput, ImportWork> = {
  name: 'export.import',
  inputVersion: 2,
  exclusion: 'exclusive',
  open: async (tools: Tools, operation) => new ImportWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    ...createSteps,
    {
      name: 'load rows',
      // What is there is replaced: the template's own rows, and what an earlier try has left.
      act: async (work, progress, signal) => {
        const { file } = work.operation.input as ImportInput
        work.rows = await load(work, file, progress, signal)
      },
      commit: async (tx, work) => {
        const { tenantId, file } = work.operation.input as ImportInput
        const counts = Object.values(work.rows)
        await activate(tx, work)
        const rows = counts.reduce((a, b) => a + b, 0)
        tx.audit(tenantEvent(tenantId, 'export.import', { file, tables: counts.length, rows }))
      }
    }
  ],
  result: ({ rows }) => ({ rows }),
  failed: forget
}

async function load(
  work: ImportWork,
  file: string,
  progress: (sentence: string) => void,
  signal: AbortSignal
): Promise<Record<string, number>> {
  const { resources, saasctl } = await readPackage(file)
  const reader = await BagReader.open(file)
  const counts: Record<string, number> = {}
  const given = resources
    .filter(({ format }) => format === formatOf(resources))
    .map((resource): TableRows => {
      const { space, table, columns, rows: expected } = resource.saasctl
      const name = space === null ? table : `${space}.${table}`
      const kept = columns.filter(({ generated }) => !generated)
      const places = kept.map(column => columns.indexOf(column))
      async function* rows() {
        let count = 0
        for await (const row of readRows(
          resource.format,
          columns,
          withoutHead(resource.format, reader.resource(resource))
        )) {
          signal.throwIfAborted()
          count += 1
          yield places.map(place => row[place] ?? null)
        }
        if (count !== expected) throw differs(`${name} has ${count} rows in the file instead of ${expected}`)
        counts[name] = count
        progress(`${name}: ${count} ${count === 1 ? 'row' : 'rows'}`)
      }
      return { table: { space, name: table }, columns: kept, rows: rows() }
    })
  const inside = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
  try {
    const before = await inside.fingerprint()
    await inside.replaceRows(given, saasctl.sequences)
    if ((await inside.fingerprint()) !== before) throw differs('The schema is not what it was before the rows came')
    return counts
  } finally {
    await reader.close()
    await inside.end()
  }
}

/** JSON first: its rows end where lines do. */
function formatOf(resources: PackageFile['resources']): string {
  return resources.some(({ format }) => format === 'jsonl') ? 'jsonl' : 'csv'
}

/** The names of columns are the first line; those with line breaks in them are in quotes. */
async function* withoutHead(format: string, pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let inHead = format === 'csv'
  let quoted = false
  for await (const piece of pieces) {
    if (!inHead) {
      yield piece
      continue
    }
    for (const [index, byte] of piece.entries()) {
      if (byte === 34) quoted = !quoted
      if (byte !== 10 || quoted) continue
      inHead = false
      yield piece.subarray(index + 1)
      break
    }
  }
}

function differs(what: string): SaasctlError {
  return new SaasctlError('INVALID_INPUT', `${what}.`, {
    hint: 'See whether the export is intact with "saasctl export verify".'
  })
}

export interface ImportWish {
  file: string
  slug: string
  /** PEM; without it nobody knows who signed the export. */
  publicKey?: string | undefined
}

/** Makes a tenant, of which the filling is the last step. A use-case of another noun, handed in. */
export type MakeTenant = (
  tenant: { slug: string; template: string; engine: EngineName },
  filling: Filling
) => Promise<{ tenant: PlacedTenant; operation: OperationRow }>

/**
 * Brings an export back as a new tenant of the same template, equal row for row. Refuses what is not intact, was masked, or
 * ends at another migration than the template. One operation from nothing to the tenant: a failure leaves nothing of it.
 */
export async function importExport(
  context: Context,
  wish: ImportWish,
  make: MakeTenant
): Promise<{ tenant: PlacedTenant; operation: OperationRow }> {
  const file = resolve(wish.file)
  const { template, engine } = await checkFile(context, file, wish.publicKey)
  const tenant = { slug: wish.slug, template, engine: engine as EngineName }
  return make(tenant, { kind: exportImport as unknown as Kind, input: { file } })
}

async function checkFile({ catalog, folders }: Context, file: string, publicKey: string | undefined) {
  const verdict = await verifyExport(file, publicKey)
  const [first] = verdict.problems
  if (first) {
    throw new SaasctlError('INVALID_INPUT', `The export is not intact: ${first.file} ${first.problem}.`, {
      hint: 'Look at all of it with "saasctl export verify", and have it sent again.'
    })
  }
  const { saasctl } = await readPackage(file)
  if (saasctl.masked) {
    throw new SaasctlError('INVALID_INPUT', 'The export was masked: what it hides cannot come back.', {
      hint: 'Make one without --mask.'
    })
  }
  const { migrations } = await readTemplate(folders.templates, saasctl.template)
  const files = (migrations[saasctl.engine as EngineName] ?? []).map(({ name }) => name)
  const head = await builtHead(catalog, saasctl.template, saasctl.engine)
  // A rollout is on its way while the files go further than what new tenants are made from.
  const mine = head ? files.slice(0, head.migration === null ? 0 : files.indexOf(head.migration) + 1) : files
  if (mine.join() !== saasctl.migrations.join()) {
    const [last, own] = [saasctl.migrations.at(-1) ?? 'none', mine.at(-1) ?? 'none']
    throw new SaasctlError(
      'MIGRATION_CHANGED',
      `The export ends at migration ${last}, template ${saasctl.template} at ${own}.`,
      {
        hint: 'Import it where the template has exactly its migrations, then migrate the tenant.'
      }
    )
  }
  return saasctl
}
