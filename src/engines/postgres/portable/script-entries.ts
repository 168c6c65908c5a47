import type { Entry } from '../archive/head.js'

export const section = { none: 1, before: 2, data: 3, after: 4 } as const

/** What every entry is unless it says otherwise. */
export const plainEntry: Omit<Entry, 'id'> = {
  hasData: false,
  catalogOid: '0',
  oid: '0',
  tag: '',
  kind: '',
  section: section.before,
  definition: '',
  drop: '',
  copy: null,
  schema: null,
  tablespace: null,
  accessMethod: null,
  relkind: 0,
  owner: null,
  needs: []
}

/** Kinds that come behind the rows: pg_dump sorts all of them behind all others. */
const AFTER = [
  'CHECK CONSTRAINT',
  'CONSTRAINT',
  'DEFAULT ACL',
  'EVENT TRIGGER',
  'FK CONSTRAINT',
  'INDEX',
  'INDEX ATTACH',
  'POLICY',
  'PUBLICATION',
  'PUBLICATION TABLE',
  'PUBLICATION TABLES IN SCHEMA',
  'ROW SECURITY',
  'RULE',
  'STATISTICS',
  'TRIGGER'
]

/** The lines that pg_dump writes over each object; names in them have no line ends. */
const TITLE = /^--\n-- Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: -(?:; Tablespace: .*)?\n--\n$/gm

/**
 * The objects of a script that pg_dump made without rows: those that come before the rows, and those that come after.
 * Settings that stand between two objects go with the one before them.
 */
export function entriesOf(script: string): { before: Array<Omit<Entry, 'id'>>; after: Array<Omit<Entry, 'id'>> } {
  const titles = [...script.matchAll(TITLE)]
  const entries = titles.map(({ index, 0: title, 1: tag = '', 2: kind = '', 3: schema = '' }, position) => {
    const definition = script.slice(index + title.length, titles[position + 1]?.index ?? script.length)
    return {
      ...plainEntry,
      tag,
      kind,
      schema: schema === '-' ? null : schema,
      section: AFTER.includes(kind) ? section.after : section.before,
      definition: definition
        .replace(/^\\(?:un)?restrict .*$/gm, '')
        .trim()
        .concat('\n')
    }
  })
  const first = entries.findIndex(entry => entry.section === section.after)
  return first < 0 ? { before: entries, after: [] } : { before: entries.slice(0, first), after: entries.slice(first) }
}
