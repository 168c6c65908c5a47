import { type Command, InvalidArgumentError } from 'commander'
import { isUuid } from '../src/names.js'
import { counted } from './flags.js'
import type { Session } from './session.js'

export interface PageFlags {
  limit: number
  before?: string
}

/** For lists with the newest first: how much of one is shown, and where it goes on. */
export function pageFlags(command: Command, limit: number): Command {
  return command
    .option('--limit <n>', 'at most so many', counted, limit)
    .option('--before <id>', 'begin before this one: the next page', idOf)
}

/** What a catalog's list takes. */
export function pageOf({ limit, before }: PageFlags): PageFlags {
  return { limit, ...(before !== undefined && { before }) }
}

/** A full page may not be the last one. */
export function tellMore({ progress }: Session, rows: Array<{ id: string }>, { limit }: PageFlags): void {
  if (rows.length === limit) progress.next(`There may be more: --before ${rows.at(-1)?.id}`)
}

function idOf(text: string): string {
  if (!isUuid(text)) throw new InvalidArgumentError('It must be an id, as the list prints it.')
  return text
}
