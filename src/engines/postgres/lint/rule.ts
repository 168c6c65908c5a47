import type { RangeVar } from 'libpg-query'
import type { MigrationOptions } from '../../engine.js'

/** What a rule may know beside the command: the tables that this file made, and what earlier files said. */
export interface Setting {
  options: MigrationOptions
  /** Tables that are empty, because this file made them. */
  fresh: Set<string>
  /** `table.column` of which an earlier file said that it is not null. */
  checked: ReadonlySet<string>
  /** An earlier command of this file added a constraint as NOT VALID. */
  addedNotValid: boolean
}

/** What is wrong with a command, and what to write instead. */
export interface Broken {
  level: 'warning' | 'error'
  code: string
  message: string
  fix: string
  /** The table that it is about, as the server knows it. */
  table?: string
}

/** It locks, rewrites or breaks where tables are large or programs old. */
export const warn = (code: string, message: string, fix: string): Broken => ({ level: 'warning', code, message, fix })
/** It fails, or opens what must stay closed. */
export const fail = (code: string, message: string, fix: string): Broken => ({ level: 'error', code, message, fix })

/** `public.customers` and `customers` are one table. */
export function tableName({ schemaname = 'public', relname = '' }: RangeVar): string {
  return schemaname === 'public' ? relname : `${schemaname}.${relname}`
}

export const outsideTransaction = 'Put it into a file of its own that begins with: -- saasctl: transaction=false'
export const asContract =
  'Let no program use it any more, then drop it in a file that begins with: -- saasctl: phase=contract'
export const rewritten = (table: string) =>
  warn(
    'table.rewrite',
    `Nobody can use ${table} while it is written anew.`,
    'Do it in a quiet hour outside of migrations, tenant by tenant.'
  )
export const scanned = (table: string) =>
  warn(
    'constraint.scan',
    `Nobody can write to ${table} while every row of it is checked.`,
    'Add it with NOT VALID, and VALIDATE CONSTRAINT in a later file.'
  )
export const indexed = (table: string) =>
  warn(
    'constraint.index',
    `Nobody can use ${table} while the constraint’s index is built.`,
    'CREATE UNIQUE INDEX CONCURRENTLY in an earlier file, then ADD CONSTRAINT … USING INDEX.'
  )
