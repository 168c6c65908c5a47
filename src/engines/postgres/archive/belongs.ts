import { databaseIdOf } from '../../../names.js'
import type { DatabaseNames } from '../../engine.js'
import { SCHEMA } from '../furnish.js'
import { rolePairs } from '../hand-over.js'
import { namesOf } from '../names.js'
import { damaged } from './bytes.js'
import type { Entry, Head } from './head.js'

/** The ledger of migrations: the one table of ours whose rows go along. */
const LEDGER = ['pgmigrations', 'pgmigrations_id_seq']

/** Whether an entry is played: all but what is ours, which a database has before it is filled. */
export function isPlayed({ kind, tag, schema }: Entry): boolean {
  if (schema === SCHEMA) return (kind === 'TABLE DATA' || kind === 'SEQUENCE SET') && LEDGER.includes(tag)
  if (kind === 'SCHEMA' && tag === SCHEMA) return false
  // Of the database itself: its comment says whose the other one is, and its rights are not the owner's to give.
  if (kind === 'ACL' || kind === 'COMMENT') return tag !== `SCHEMA ${SCHEMA}` && !tag.startsWith('DATABASE ')
  return !LEFT_OUT.includes(kind)
}

/** Statistics of the planner come again by themselves; the rest takes rights over the whole server. */
const LEFT_OUT = ['STATISTICS DATA', 'SECURITY LABEL', 'SUBSCRIPTION', 'DATABASE', 'DATABASE PROPERTIES']

/** Puts the roles of one database in the places of those of the database that was dumped. */
export class Roles {
  readonly #pairs: ReadonlyMap<string, string>
  readonly #form: RegExp
  readonly #oldApp: string
  readonly #newApp: string

  constructor(head: Pick<Head, 'database'>, to: DatabaseNames) {
    const databaseId = databaseIdOf(head.database)
    if (databaseId === undefined) throw damaged('it is of no database of ours')
    const from = namesOf(databaseId)
    this.#pairs = new Map(rolePairs(from, to).map(pair => [pair.old, pair.new]))
    this.#form = new RegExp(`\\b${from.database}(?:[a-z]+)?\\b`, 'g')
    this.#oldApp = from.app
    this.#newApp = to.app
  }

  /** What an entry says, for the new roles. Rights and policies name roles; what else has such a name in it is the tenant's text. */
  definition({ kind, definition }: Entry): string {
    if (kind === 'ACL' || kind === 'DEFAULT ACL') {
      // What the app granted onwards is granted by the owner: its own session is the only one that there is.
      return this.#replace(definition.replace(/^(?:RE)?SET SESSION AUTHORIZATION.*;$/gm, ''))
    }
    if (kind !== 'POLICY') return definition
    const end = definition.search(/ USING \(| WITH CHECK \(|$/)
    return this.#replace(definition.slice(0, end)) + definition.slice(end)
  }

  /** Who owns it, where that is somebody else than the owner: what an app login made belongs to the app’s group. */
  owner({ owner }: Entry): string | undefined {
    return owner === this.#oldApp ? this.#newApp : undefined
  }

  #replace(text: string): string {
    return text.replace(this.#form, name => this.#pairs.get(name) ?? name)
  }
}
