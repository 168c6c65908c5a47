import type { Objects } from './fingerprint.js'
import type { Flavour } from './flavour.js'
import type { Part } from './parts.js'

/** MariaDB drops and renames one after the other: cut short, some are done and others are not. */
const SEVERAL = /^(?:drop\s+(?:table|view)\s|rename\s+table\s)[^;]*,/i

/**
 * What changed in the schema that a statement under way does not explain. Empty when everything that changed bears a name
 * which stands in the statement: each statement about the schema is whole or not at all, so that it happened then.
 */
export function unexplained(part: Part, before: Objects, now: Objects, flavour: Flavour): string[] {
  const keys = new Set([...before.keys(), ...now.keys()])
  const changed = [...keys].filter(key => before.get(key) !== now.get(key))
  if (flavour === 'mariadb' && SEVERAL.test(part.code)) {
    return changed.map(key => `${title(key)} changed, of several that one statement names`)
  }
  const words = wordsOf(part.sql)
  return changed
    .filter(key => !namesOf(key).some(name => words.has(name.toLowerCase())))
    .map(key => `${title(key)} changed, which the statement does not name`)
}

const namesOf = (key: string): string[] => (JSON.parse(key) as unknown[]).slice(1).map(String)

function title(key: string): string {
  const [kind, name] = JSON.parse(key) as string[]
  return `${kind} ${name}`
}

function wordsOf(sql: string): Set<string> {
  const words = sql.matchAll(/`((?:[^`]|``)+)`|[\w$\u0080-\uffff]+/g)
  return new Set([...words].map(([word, quoted]) => (quoted?.replaceAll('``', '`') ?? word).toLowerCase()))
}
