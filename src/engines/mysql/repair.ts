import type { Difference } from '../engine.js'
import { id } from './quote.js'

/**
 * What is certain as SQL, for a person to review: indexes and what is too many. The server prints no DDL of a single
 * column or routine, so the rest is said in words, with both definitions.
 */
export function repair(differences: readonly Difference[]): string[] {
  return differences.map(one => {
    if (one.expected === null) return `-- Not of the template; look what is in it before it goes:\n-- ${dropped(one)}`
    const verb = one.found === null ? 'create' : 'change'
    const now = one.found === null ? '' : `\n--   instead of ${said(one.found)}`
    return `-- By hand: ${verb} ${one.kind} ${one.name}, so that it is\n--   ${said(one.expected)}${now}`
  })
}

const said = (definition: string) => definition.replaceAll('\n', '\n--   ')

function dropped({ kind, name, found }: Difference): string {
  const dot = name.indexOf('.')
  const [table, part] = [name.slice(0, dot), name.slice(dot + 1)]
  switch (kind) {
    case 'column':
      return `ALTER TABLE ${id(table)} DROP COLUMN ${id(part)};`
    case 'index':
      return part === 'PRIMARY'
        ? `ALTER TABLE ${id(table)} DROP PRIMARY KEY;`
        : `DROP INDEX ${id(part)} ON ${id(table)};`
    case 'check':
      return `ALTER TABLE ${id(table)} DROP CONSTRAINT ${id(part)};`
    case 'foreign key':
      return `ALTER TABLE ${id(table)} DROP FOREIGN KEY ${id(part)};`
    case 'partition':
      return `ALTER TABLE ${id(table)} DROP PARTITION ${id(part)};`
    case 'routine':
      return `DROP ${found?.split(' ')[0]} ${id(name)};`
    default:
      return `DROP ${kind.toUpperCase()} ${id(name)};`
  }
}
