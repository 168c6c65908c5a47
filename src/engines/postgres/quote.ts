import { randomBytes } from 'node:crypto'
import pg from 'pg'

/** Quotes a name for SQL. Our names are narrow types already; they are quoted anyway. */
export const id = (name: string): string => pg.escapeIdentifier(name)

/** Quotes a value for statements that take no parameters: all of DDL. */
export const literal = (value: string): string => pg.escapeLiteral(value)

/** A DO block. The tag is random, because a body may carry the name of a file and that may contain anything. */
export function block(body: string): string {
  const tag = `$s${randomBytes(8).toString('hex')}$`
  return `DO ${tag}\n${body}\n${tag}`
}
