import type { Readable } from 'node:stream'
import type { Played } from '../../dump.js'
import type { DatabaseNames } from '../../engine.js'
import { id, literal } from '../quote.js'
import type { Session } from '../session.js'
import { isPlayed, Roles } from './belongs.js'
import { Blocks } from './blocks.js'
import { Bytes } from './bytes.js'
import { type Entry, type Head, readHead } from './head.js'
import { LargeObjects } from './large-objects.js'
import { type Definition, OwnCode } from './own-code.js'

/**
 * Plays an archive of pg_dump in one transaction, as pg_restore does with `--single-transaction`, and does three things that
 * it cannot: the roles of this database take the places of those that are named in it, what is ours stays out, and no
 * right is there that the archive does not give.
 */
export async function playArchive(
  session: Session,
  names: DatabaseNames,
  stream: Readable,
  lend: () => Promise<void>
): Promise<Played> {
  const bytes = new Bytes(stream)
  const head = await bytes.parse(readHead)
  const roles = new Roles(head, names)
  if (head.entries.some(entry => roles.owner(entry) !== undefined)) await lend()
  const player = new Player(session, roles, head, new Blocks(bytes, head))
  await session.run(`BEGIN; ${settings}; ${bare(names, head)}`)
  await player.play()
  const played = await player.played()
  await session.run('COMMIT')
  return played
}

/** What pg_restore sets. No trigger or function of the dump is run by it, but for what an index or a check computes. */
const settings = [
  'statement_timeout = 0',
  'lock_timeout = 0',
  'idle_in_transaction_session_timeout = 0',
  'check_function_bodies = false',
  'xmloption = content',
  'client_min_messages = warning',
  'row_security = off',
  `default_tablespace = ''`
]
  .map(setting => `SET LOCAL ${setting}`)
  .join('; ')

/** Takes away the rights that a new database is furnished with: the archive gives them again, those that were still there. */
function bare({ app, logins }: DatabaseNames, { entries }: Head): string {
  const both = `${id(app)}, ${id(logins.readonly)}`
  const byDefault = ['SCHEMAS', 'TABLES', 'SEQUENCES'].map(
    what => `ALTER DEFAULT PRIVILEGES REVOKE ALL ON ${what} FROM ${both}`
  )
  const dropped = !entries.some(({ kind, tag }) => kind === 'SCHEMA' && tag === 'public')
  return [...byDefault, dropped ? 'DROP SCHEMA IF EXISTS public' : `REVOKE ALL ON SCHEMA public FROM ${both}`].join(
    '; '
  )
}

/** Rights come after all objects, and after them what runs the tenant's queries. */
const passOf = ({ kind }: Entry): number => {
  if (['ACL', 'DEFAULT ACL', 'ACL LANGUAGE'].includes(kind)) return 1
  return ['MATERIALIZED VIEW DATA', 'EVENT TRIGGER'].includes(kind) ? 2 : 0
}

class Player {
  readonly #session: Session
  readonly #roles: Roles
  readonly #head: Head
  readonly #blocks: Blocks
  readonly #largeObjects: LargeObjects
  readonly #own: OwnCode
  readonly #taken: Array<{ schema: string | null; tag: string; rows: number }> = []
  readonly #notes: string[] = []
  /** Tables that hold rows themselves: what is partitioned hands them on. */
  readonly #made: ReadonlySet<string>
  #accessMethod = ''
  /** Not sent yet: a message for each of a hundred statements took longer than what they do. */
  readonly #unsaid: Definition[] = []

  constructor(session: Session, roles: Roles, head: Head, blocks: Blocks) {
    this.#session = session
    this.#roles = roles
    this.#head = head
    this.#blocks = blocks
    this.#largeObjects = new LargeObjects(session, head.entries)
    this.#own = new OwnCode(session)
    const made = head.entries.filter(
      entry => entry.kind === 'TABLE' && isPlayed(entry) && !PARTITIONED.test(entry.definition)
    )
    this.#made = new Set(made.map(({ schema, tag }) => nameOf(schema, tag)))
  }

  async play(): Promise<void> {
    const { entries } = this.#head
    for (const entry of entries.filter(entry => passOf(entry) === 0)) await this.#main(entry)
    await this.#blocks.end()
    for (const pass of [1, 2]) {
      for (const entry of entries.filter(entry => passOf(entry) === pass && isPlayed(entry))) await this.#define(entry)
    }
    await this.#say()
  }

  async #main(entry: Entry): Promise<void> {
    if (!isPlayed(entry)) return entry.hasData ? await this.#blocks.skip(entry) : undefined
    if (!entry.hasData) return await this.#define(entry)
    await this.#say()
    if (entry.copy === null) return await this.#largeObjects.fill(this.#blocks.largeObjects(entry))
    await this.#own.usualPath()
    const rows = await this.#session.copyIn(this.#frozen(entry, entry.copy), await this.#blocks.rows(entry))
    this.#taken.push({ schema: entry.schema, tag: entry.tag, rows })
  }

  /** Under the names that tables are counted by. */
  async played(): Promise<Played> {
    await this.#own.barePath()
    const named = await this.#session.rows<{ name: string; rows: string }>(
      `SELECT pg_catalog.format('%I.%I', t ->> 0, t ->> 1) AS name, t ->> 2 AS rows
       FROM pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb) AS t`,
      [JSON.stringify(this.#taken.map(({ schema, tag, rows }) => [schema, tag, rows]))]
    )
    return { rows: Object.fromEntries(named.map(({ name, rows }) => [name, Number(rows)])), notes: this.#notes }
  }

  /**
   * Rows of a table that this transaction has made are written as rows that everybody sees. Otherwise whoever reads them
   * first looks each one up and writes every page again: counting them took three times as long.
   */
  #frozen({ schema, tag }: Entry, copy: string): string {
    return this.#made.has(nameOf(schema, tag)) ? copy.replace(FROM_STDIN, ' FROM stdin WITH (FREEZE);\n') : copy
  }

  async #define(entry: Entry): Promise<void> {
    this.#useAccessMethod(entry)
    const statements = this.#largeObjects.statements(entry) ?? [this.#roles.definition(entry)]
    const owner = this.#roles.owner(entry)
    if (owner !== undefined) statements.push(...this.#owned(entry).map(what => `ALTER ${what} OWNER TO ${id(owner)}`))
    const said = statements.filter(text => text.trim() !== '')
    if (entry.kind === 'MATERIALIZED VIEW DATA') {
      await this.#say()
      return await this.#refresh(entry, said.join('\n;\n'))
    }
    const computed = COMPUTED.includes(entry.kind)
    this.#unsaid.push(...said.map(text => ({ text, computed })))
    // How a message is read is settled before its first statement is run.
    if (SETTLES.includes(entry.kind) || this.#unsaid.length >= TOGETHER) await this.#say()
  }

  async #say(): Promise<void> {
    await this.#own.define(this.#unsaid.splice(0))
  }

  async #refresh({ schema, tag }: Entry, text: string): Promise<void> {
    const said = await this.#own.refresh(text)
    if (said === undefined) return
    this.#notes.push(`materialized view ${schema}.${tag} could not be computed and is empty: ${said}`)
  }

  /** What an entry made, as ALTER names it. */
  #owned(entry: Entry): string[] {
    const large = this.#largeObjects.madeBy(entry)
    if (large.length > 0) return large.map(oid => `LARGE OBJECT ${oid}`)
    return OWNED.includes(entry.kind) ? [entry.drop.replace(/^DROP /, '').replace(/;\s*$/, '')] : []
  }

  #useAccessMethod({ accessMethod }: Entry): void {
    if (!accessMethod || accessMethod === this.#accessMethod) return
    this.#unsaid.push({ text: `SET LOCAL default_table_access_method = ${literal(accessMethod)}`, computed: false })
    this.#accessMethod = accessMethod
  }
}

const nameOf = (schema: string | null, tag: string) => JSON.stringify([schema, tag])

/** What says how text is to be read. */
const SETTLES = ['ENCODING', 'STDSTRINGS']

/** So many statements in a message: with a thousand tables it is still a small one. */
const TOGETHER = 50

/** A word of it may stand in a default or a comment too: then the table is filled as ever. */
const PARTITIONED = /\bPARTITION BY\b/

/** As every pg_dump ends the statement. */
const FROM_STDIN = / FROM stdin;\n$/

/** Kinds that compute from the rows that are there when they are made. */
const COMPUTED = ['CHECK CONSTRAINT', 'CONSTRAINT', 'INDEX']

/** Kinds that have an owner of their own; a sequence of a column's goes with its table. */
const OWNED = [
  'AGGREGATE',
  'COLLATION',
  'DOMAIN',
  'FUNCTION',
  'MATERIALIZED VIEW',
  'OPERATOR',
  'PROCEDURE',
  'PUBLICATION',
  'SCHEMA',
  'SEQUENCE',
  'STATISTICS',
  'TABLE',
  'TEXT SEARCH CONFIGURATION',
  'TEXT SEARCH DICTIONARY',
  'TYPE',
  'VIEW'
]
