import { asContract, type Broken, fail, pattern, rewritten, type Setting, tableName, warn } from './rule.js'

type ActionRule = (action: string, table: string, setting: Setting) => Broken | undefined

const ADD_COLUMN = pattern(
  '^add (?:column )?(?:if not exists )?(?!(?:constraint|check|unique|primary|foreign|exclude)\\b)[\\w$]+ (.*)$'
)
const VOLATILE = pattern(
  '\\bdefault\\b.*\\b(?:gen_random_uuid|uuid_generate_v\\w+|uuidv[47]|random|clock_timestamp|timeofday|nextval)\\s*\\('
)
const BY_SERVER = pattern(
  '^(?:small|big)?serial\\b|\\bgenerated (?:always|by default) as identity\\b|\\bgenerated always as\\s*\\(.*\\)\\s*stored\\b'
)
const TYPE = pattern('^alter (?:column )?[\\w$]+ (?:set data )?type\\b')
const NOT_NULL = pattern('^alter (?:column )?([\\w$]+) set not null\\b')
const CONSTRAINT = pattern('^add (?:constraint [\\w$]+ )?(check|foreign|unique|primary|exclude)\\b')
const DROP_COLUMN = pattern('^drop (?:column )?(?:if exists )?(?!(?:constraint|column|if)\\b)([\\w$]+)')

/** Rules over the single actions of ALTER TABLE, on tables that may hold rows. */
export const actionRules: readonly ActionRule[] = [
  (action, table) => {
    const column = ADD_COLUMN.exec(action)?.[1]
    if (column === undefined) return undefined
    if (VOLATILE.test(column) || BY_SERVER.test(column)) {
      const message = `Every row of ${table} gets another value: nobody can use it while it is written anew.`
      return warn(
        'column.rewrite',
        message,
        'Add the column alone, then set its default, then fill the rows in small steps.'
      )
    }
    if (!/\bnot\s+null\b|\bprimary\s+key\b/i.test(column) || /\bdefault\b/i.test(column)) return undefined
    const message = `Where ${table} has rows this fails: the new column has no value for them.`
    return fail(
      'column.required',
      message,
      'Give it a DEFAULT, or add it without NOT NULL and require it in a later file.'
    )
  },
  (action, table) => {
    if (!TYPE.test(action)) return undefined
    const message = `Nobody can use ${table} while it is written anew, unless both types are stored alike.`
    return warn(
      'column.type',
      message,
      'Add a column of the new type, fill it, let programs change over, drop the old one.'
    )
  },
  (action, table, { checked }) => {
    const column = NOT_NULL.exec(action)?.[1]
    if (column === undefined || checked.has(`${tableName(table)}.${column.toLowerCase()}`)) return undefined
    const fix = `In earlier files ADD CHECK (${column} IS NOT NULL) NOT VALID and VALIDATE it: then no row is read here.`
    return warn('column.not-null', `Nobody can use ${table} while every row of it is read.`, fix)
  },
  (action, table) => {
    const kind = CONSTRAINT.exec(action)?.[1]?.toLowerCase()
    if (kind === undefined || /\bnot\s+valid\b|\busing\s+index\b(?!\s+tablespace\b)/i.test(action)) return undefined
    if (kind === 'check' || kind === 'foreign') {
      const message = `Nobody can write to ${table} while every row of it is checked.`
      return warn('constraint.scan', message, 'Add it with NOT VALID, and VALIDATE CONSTRAINT in a later file.')
    }
    const fix = 'CREATE UNIQUE INDEX CONCURRENTLY in an earlier file, then ADD CONSTRAINT … USING INDEX.'
    return warn('constraint.index', `Nobody can use ${table} while the constraint’s index is built.`, fix)
  },
  (action, table, { addedNotValid, options }) => {
    if (!addedNotValid || !options.transaction || !/^validate\s+constraint\b/i.test(action)) return undefined
    const message = `The lock that adding the constraint took on ${table} is held while every row of it is checked.`
    return warn('constraint.validate', message, 'Validate it in a later file.')
  },
  (action, table, { options }) => {
    const column = DROP_COLUMN.exec(action)?.[1]
    if (column === undefined || options.phase === 'contract') return undefined
    return warn('contract.drop', `Programs that still use ${table}.${column} fail from here on.`, asContract)
  },
  (action, table) => {
    if (!/^rename\s+(?!constraint\b)/i.test(action)) return undefined
    const fix = 'Add the new one beside the old, let programs change over, then drop the old one.'
    return warn('contract.rename', `Programs know this of ${table} by one name: those of the other age fail.`, fix)
  },
  (action, table) =>
    /^set\s+(?:(?:un)?logged|tablespace|access\s+method)\b/i.test(action) ? rewritten(table) : undefined
]
