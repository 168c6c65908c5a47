import { lineOf, lineOfNth } from '../statements.js'
import type { Answer } from './errors.js'

/** What was sent before a text of the user's, in the same message. */
export interface Head {
  length: number
  statements: number
}

/**
 * The line, counted from 1, of a text that an error is about. Most errors of parsing have a position in the message;
 * others have none, and the statement is known by how many were done before it.
 */
export function lineAt({ position, completed }: Answer, sql: string, head: Head): number | undefined {
  if (position === undefined) return lineOfNth(sql, completed - head.statements)
  return lineOf(sql, utf16Offset(sql, position - 1 - head.length))
}

/** The server counts characters; JavaScript counts those outside of the basic plane twice. */
function utf16Offset(sql: string, characters: number): number {
  return [...sql].slice(0, Math.max(0, characters)).join('').length
}
