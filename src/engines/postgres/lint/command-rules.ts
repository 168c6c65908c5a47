import {
  asContract,
  type Broken,
  fail,
  outsideTransaction,
  pattern,
  rewritten,
  type Setting,
  tableName,
  warn
} from './rule.js'

type CommandRule = (command: string, setting: Setting) => Broken | undefined

const CONCURRENTLY = pattern('^(?:create (?:unique )?index|drop index|reindex [a-z]+) concurrently\\b')
const INDEX = pattern(
  '^create (?:unique )?index (?!concurrently\\b)(?:if not exists )?(?:(?!on\\b)[\\w$]+ )?on (?!only\\b)NAME'
)
const DROP_TABLE = pattern('^drop table (?:if exists )?NAME')
const REWRITE = pattern('^(?:vacuum\\s*(?:full\\b|\\([^)]*\\bfull\\b[^)]*\\))|cluster\\b)\\s*(?:verbose )?NAME')

/** Rules over whole commands. */
export const commandRules: readonly CommandRule[] = [
  (command, { options }) => {
    if (!options.transaction || !CONCURRENTLY.test(command)) return undefined
    return fail('index.transaction', 'CONCURRENTLY cannot run in a transaction.', outsideTransaction)
  },
  (command, { fresh }) => {
    const table = INDEX.exec(command)?.[1]
    if (table === undefined || fresh.has(tableName(table))) return undefined
    const message = `Nobody can write to ${table} while this index is built.`
    return warn('index.blocking', message, `Use CREATE INDEX CONCURRENTLY. ${outsideTransaction}`)
  },
  (command, { fresh, options }) => {
    const table = DROP_TABLE.exec(command)?.[1]
    if (table === undefined || options.phase === 'contract' || fresh.has(tableName(table))) return undefined
    return warn('contract.drop', `Programs that still use table ${table} fail from here on.`, asContract)
  },
  command => {
    const table = REWRITE.exec(command)?.[1]
    return table === undefined ? undefined : rewritten(table)
  }
]
