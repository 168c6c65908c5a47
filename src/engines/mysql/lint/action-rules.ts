import { asContract, type Broken, fail, pattern, rewritten, type Setting, warn } from './rule.js'

type ActionRule = (action: string, table: string, setting: Setting) => Broken | undefined

const NO_COLUMN = 'constraint|check|unique|primary|foreign|key|index|fulltext|spatial|partition|period|system|column|if'
const ADD_COLUMN = pattern(`^add (?:column )?(?:if not exists )?(?!(?:${NO_COLUMN})\\b)[\\w$]+ (.*)$`)
const COMPUTED = pattern('\\b(?:stored|persistent)\\b')
const VOLATILE = pattern('\\bdefault\\s*\\(?\\s*(?:uuid|uuid_short|rand|sysdate|random_bytes)\\s*\\(')
const BLANKS = pattern('^(?:date|datetime|timestamp)\\b')
const CHANGE = pattern('^change (?:column )?(?:if exists )?([\\w$]+) ([\\w$]+)')
const MODIFY = pattern('^modify (?:column )?(?:if exists )?([\\w$]+)')
const CONSTRAINT = pattern(
  '^add (?:constraint (?:if not exists )?(?:(?!check\\b|foreign\\b)[\\w$]+ )?)?(check|foreign)\\b'
)
const BLOCKING_INDEX = pattern('^add (fulltext|spatial)\\b')
const DROP_COLUMN = pattern(`^drop (?:column )?(?:if exists )?(?!(?:${NO_COLUMN})\\b)([\\w$]+)`)
const REWRITE = pattern(
  '^(?:engine\\s*=|force\\b|row_format\\b|key_block_size\\b|order by\\b|convert to\\b|partition by\\b|remove partitioning\\b|drop primary key\\b|add (?:constraint (?:[\\w$]+ )?)?primary key\\b|(?:add|drop) system versioning\\b|page_compressed\\b|encryption\\b)'
)
const OTHER_ENGINE = pattern('^engine\\s*=?\\s*(?!innodb\\b)([\\w$]+)')

/** Rules over the single actions of ALTER TABLE, on tables that may hold rows. */
export const actionRules: readonly ActionRule[] = [
  (action, table) => {
    const column = ADD_COLUMN.exec(action)?.[1]
    if (column === undefined) return undefined
    if (COMPUTED.test(column) || VOLATILE.test(column) || /\bauto_increment\b/i.test(column)) {
      const message = `Every row of ${table} gets another value: nobody can write to it while it is written anew.`
      return warn('column.rewrite', message, 'Add the column alone, then fill the rows in small steps.')
    }
    if (!/\bnot\s+null\b/i.test(column) || /\b(?:default|as)\b/i.test(column)) return undefined
    const fix = 'Give it a DEFAULT, or add it without NOT NULL and require it in a later file.'
    if (BLANKS.test(column)) {
      return fail('column.required', `Where ${table} has rows this fails: a date has no empty value.`, fix)
    }
    const message = `Rows of ${table} get an empty value that nobody chose, '' or 0.`
    return warn('column.required', message, fix)
  },
  (action, table) => {
    if (!MODIFY.test(action) && !CHANGE.test(action)) return undefined
    const message = `Nobody can write to ${table} while it is written anew, unless both types are stored alike.`
    const fix =
      'Add a column of the new type, fill it, let programs change over, drop the old one. A default alone: ALTER COLUMN … SET DEFAULT.'
    return warn('column.type', message, fix)
  },
  (action, table) => {
    if (!CONSTRAINT.test(action)) return undefined
    const message = `Nobody can write to ${table} while every row of it is checked.`
    return warn('constraint.scan', message, 'Do it in a quiet hour outside of migrations, tenant by tenant.')
  },
  (action, table) => {
    const kind = BLOCKING_INDEX.exec(action)?.[1]
    if (kind === undefined) return undefined
    const message = `Nobody can write to ${table} while this ${kind.toUpperCase()} index is built.`
    return warn('index.blocking', message, 'Do it in a quiet hour outside of migrations, tenant by tenant.')
  },
  (action, table, { options }) => {
    const column = DROP_COLUMN.exec(action)?.[1]
    if (column === undefined || options.phase === 'contract') return undefined
    return warn('contract.drop', `Programs that still use ${table}.${column} fail from here on.`, asContract)
  },
  (action, table) => {
    const [, from, to] = CHANGE.exec(action) ?? []
    const changed = from !== undefined && from.toLowerCase() !== to?.toLowerCase()
    if (!changed && !/^rename\s+(?!(?:index|key)\b)/i.test(action)) return undefined
    const fix = 'Add the new one beside the old, let programs change over, then drop the old one.'
    return warn('contract.rename', `Programs know this of ${table} by one name: those of the other age fail.`, fix)
  },
  (action, table) => (REWRITE.test(action) && !OTHER_ENGINE.test(action) ? rewritten(table) : undefined),
  action => {
    const engine = OTHER_ENGINE.exec(action)?.[1]
    return engine === undefined ? undefined : otherEngine(engine)
  }
]

export function otherEngine(engine: string): Broken {
  return fail(
    'table.engine',
    `What is written to a table of ${engine} does not roll back: a migration cut short would write it twice.`,
    'Leave ENGINE away, or say InnoDB.'
  )
}
