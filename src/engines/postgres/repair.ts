import type { Difference } from '../engine.js'

/** In this order what is made finds what it stands on. */
const ORDER = [
  'schema',
  'extension',
  'type',
  'function',
  'sequence',
  'relation',
  'column',
  'constraint',
  'index',
  'view'
]

/** SQL for a person to review. What would lose data or break what stands on it is a comment; so is what SQL of ours cannot say. */
export function repair(differences: readonly Difference[]): string[] {
  const rank = ({ kind }: Difference) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length)
  const sorted = [...differences].sort((a, b) => rank(a) - rank(b))
  const made = new Set(sorted.filter(one => one.kind === 'relation' && one.found === null).map(({ name }) => name))
  const constraints = new Set(sorted.filter(({ kind }) => kind === 'constraint').map(({ name }) => last(name)))
  return sorted.flatMap(one => {
    // A table that is made brings its columns; a key brings its index.
    if (one.kind === 'column' && made.has(owner(one.name))) return []
    if (one.kind === 'index' && constraints.has(last(one.name))) return []
    if (one.found === null) return missing(one, sorted)
    return one.expected === null ? extra(one) : changed(one, one.expected)
  })
}

function missing({ kind, name, expected }: Difference, all: readonly Difference[]): string[] {
  const definition = expected ?? ''
  switch (kind) {
    case 'schema':
      return [`CREATE SCHEMA ${name};`]
    case 'extension':
      return [`CREATE EXTENSION ${name};`]
    case 'relation':
      return /^[rp] /.test(definition) ? [table(name, all)] : []
    case 'column':
      return [`ALTER TABLE ${owner(name)} ADD COLUMN ${last(name)} ${definition};`]
    case 'constraint':
      return [`ALTER TABLE ${owner(name)} ADD CONSTRAINT ${last(name)} ${definition};`]
    case 'view':
      return [`CREATE VIEW ${name} AS\n${definition}`]
    case 'index':
    case 'trigger':
      return [`${definition.replace(/ \S+$/, '')};`]
    case 'function':
    case 'rule':
    case 'statistics':
      return [`${definition.trim().replace(/;$/, '')};`]
    default:
      return byHand('create', kind, name, definition)
  }
}

function extra({ kind, name, found }: Difference): string[] {
  const drop = (statement: string) => [`-- Not of the template; look what is in it before it goes:\n-- ${statement}`]
  switch (kind) {
    case 'column':
      return drop(`ALTER TABLE ${owner(name)} DROP COLUMN ${last(name)};`)
    case 'constraint':
      return drop(`ALTER TABLE ${owner(name)} DROP CONSTRAINT ${last(name)};`)
    case 'relation':
      return drop(/^[vm] /.test(found ?? '') ? `DROP VIEW ${name};` : `DROP TABLE ${name};`)
    case 'trigger':
    case 'policy':
    case 'rule':
      return drop(`DROP ${kind.toUpperCase()} ${last(name)} ON ${owner(name)};`)
    case 'view':
      return []
    default:
      return drop(`DROP ${kind.toUpperCase()} ${name};`)
  }
}

function changed(one: Difference, expected: string): string[] {
  const { kind, name, found } = one
  switch (kind) {
    case 'column':
      return column(name, found ?? '', expected)
    case 'function':
      return [`${expected.trim()};`]
    case 'view':
      return [`CREATE OR REPLACE VIEW ${name} AS\n${expected}`]
    case 'index':
      return [`DROP INDEX ${name};`, ...missing(one, [])]
    case 'constraint':
      return [`ALTER TABLE ${owner(name)} DROP CONSTRAINT ${last(name)};`, ...missing(one, [])]
    default:
      return byHand('change', kind, name, expected)
  }
}

const COLUMN = /^(.*?)( COLLATE \S+)?( NOT NULL)?(?: DEFAULT (.*))?$/s

function column(name: string, found: string, expected: string): string[] {
  if (/GENERATED/.test(found + expected)) return byHand('change', 'column', name, expected)
  const alter = (what: string) => `ALTER TABLE ${owner(name)} ALTER COLUMN ${last(name)} ${what};`
  const [, type, collation = '', notNull, usual] = COLUMN.exec(expected) ?? []
  const [, typeNow, collationNow = '', notNullNow, usualNow] = COLUMN.exec(found) ?? []
  const statements: string[] = []
  if (type !== typeNow || collation !== collationNow) {
    statements.push(
      `-- It may rewrite the table, and not every value may fit:\n-- ${alter(`TYPE ${type}${collation}`)}`
    )
  }
  if (usual !== usualNow) statements.push(alter(usual === undefined ? 'DROP DEFAULT' : `SET DEFAULT ${usual}`))
  if (notNull !== notNullNow) statements.push(alter(notNull ? 'SET NOT NULL' : 'DROP NOT NULL'))
  return statements
}

function table(name: string, all: readonly Difference[]): string {
  const columns = all.filter(one => one.kind === 'column' && owner(one.name) === name)
  return `CREATE TABLE ${name} (\n${columns.map(one => `  ${last(one.name)} ${one.expected}`).join(',\n')}\n);`
}

function byHand(verb: string, kind: string, name: string, definition: string): string[] {
  return [`-- By hand: ${verb} ${kind} ${name}, so that it is\n${definition.replace(/^/gm, '--   ')}`]
}

/** `public."a.b".c` is `public."a.b"` and `c`: quoted parts may hold dots. */
const parts = (name: string): string[] => name.match(/"(?:[^"]|"")*"|[^."]+/g) ?? [name]
const last = (name: string): string => parts(name).at(-1) ?? name
const owner = (name: string): string => parts(name).slice(0, -1).join('.')
