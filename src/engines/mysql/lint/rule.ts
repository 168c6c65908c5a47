import type { MigrationOptions } from '../../engine.js'

/** What a rule may know beside the command. */
export interface Setting {
  options: MigrationOptions
  /** Tables that are empty, because this file made them. */
  fresh: Set<string>
}

/** What is wrong with a command, and what to write instead. */
export interface Broken {
  level: 'warning' | 'error'
  code: string
  message: string
  fix: string
  /** The table that it is about. */
  table?: string
}

/** It locks, rewrites or breaks where tables are large or programs old. */
export const warn = (code: string, message: string, fix: string): Broken => ({ level: 'warning', code, message, fix })
/** It fails. */
export const fail = (code: string, message: string, fix: string): Broken => ({ level: 'error', code, message, fix })

/** A pattern for commands: a blank is any white space, NAME captures a table's name. */
export function pattern(text: string): RegExp {
  const name = String.raw`((?:[\w$]+\s*\.\s*)?[\w$]+)`
  return new RegExp(text.replaceAll(' ', String.raw`\s+`).replaceAll('NAME', name), 'is')
}

export const tableName = (text: string) => text.replace(/\s/g, '').toLowerCase()

/** As information_schema lists it. */
export const withoutSchema = (table: string) => table.replace(/^.*\./s, '').trim()

export const asContract =
  'Let no program use it any more, then drop it in a file that begins with: -- saasctl: phase=contract'
export const rewritten = (table: string, code = 'table.rewrite') =>
  warn(
    code,
    `Nobody can write to ${table} while it is written anew.`,
    'Do it in a quiet hour outside of migrations, tenant by tenant.'
  )
