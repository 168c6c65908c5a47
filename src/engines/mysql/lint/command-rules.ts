import { otherEngine } from './action-rules.js'
import { asContract, type Broken, fail, pattern, type Setting, tableName, warn, withoutSchema } from './rule.js'

type CommandRule = (command: string, setting: Setting) => Broken | undefined

const BLOCKING_INDEX = pattern('^create (?:or replace )?(fulltext|spatial) index (?:if not exists )?[\\w$]+ on NAME')
const DROP_TABLE = pattern('^drop table (?:if exists )?NAME')
const RENAME_TABLE = pattern('^rename table (?:if exists )?NAME')
const ENGINE = pattern('^create (?:or replace )?table\\b.*\\bengine\\s*=?\\s*(?!innodb\\b)([\\w$]+)')
const UNSEEN = pattern('^(?:truncate (?:table )?|alter table )NAME(.*)')

const about = (table: string, broken: Broken): Broken => ({ ...broken, table: withoutSchema(table) })

/** Rules over whole commands. */
export const commandRules: readonly CommandRule[] = [
  (command, { fresh }) => {
    const [, kind, table] = BLOCKING_INDEX.exec(command) ?? []
    if (kind === undefined || table === undefined || fresh.has(tableName(table))) return undefined
    const message = `Nobody can write to ${table} while this ${kind.toUpperCase()} index is built.`
    return about(
      table,
      warn('index.blocking', message, 'Do it in a quiet hour outside of migrations, tenant by tenant.')
    )
  },
  (command, { fresh, options }) => {
    const table = DROP_TABLE.exec(command)?.[1]
    if (table === undefined || options.phase === 'contract' || fresh.has(tableName(table))) return undefined
    return about(table, warn('contract.drop', `Programs that still use table ${table} fail from here on.`, asContract))
  },
  (command, { fresh }) => {
    const table = RENAME_TABLE.exec(command)?.[1]
    if (table === undefined || fresh.has(tableName(table))) return undefined
    const fix = 'Make the new one beside the old, let programs change over, then drop the old one.'
    const message = `Programs know table ${table} by one name: those of the other age fail.`
    return about(table, warn('contract.rename', message, fix))
  },
  command => {
    if (!/^(?:drop\s+(?:table|view)|rename\s+table)\b[^;]*,/i.test(command)) return undefined
    const message = 'MariaDB does this table by table: cut short, somebody must find out by hand how far it came.'
    return warn('statement.several', message, 'Write a statement for each.')
  },
  (command, { options }) => {
    const [, table, rest = ''] = UNSEEN.exec(command) ?? []
    const unseen = /^truncate/i.test(command) || /\b(?:truncate|exchange)\s+partition\b/i.test(rest)
    if (table === undefined || !unseen || !options.transaction) return undefined
    const message = `Nobody could see afterwards whether ${table} was emptied already: it is refused.`
    return fail('statement.unseen', message, 'Use DELETE, or begin the file with: -- saasctl: transaction=false')
  },
  command => {
    const engine = ENGINE.exec(command)?.[1]
    return engine === undefined ? undefined : otherEngine(engine)
  }
]
