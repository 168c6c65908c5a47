import { createHash } from 'node:crypto'
import QuickLRU from 'quick-lru'
import type { ServerAddress } from '../engine.js'
import type { Tool } from '../tools.js'
import type { Entry, Head } from './archive/head.js'
import { SCHEMA } from './furnish.js'
import { ourForm } from './names.js'
import type { CountedTable } from './rows.js'

/** What a dump of this schema need not ask a session for. */
export interface KnownSchema {
  fingerprint: string
  /** Whose rows count. */
  tables: Array<Pick<CountedTable, 'space' | 'table' | 'name'>>
}

/** Where a fingerprint was seen: a program that dumps there makes this table of contents of it, most likely. */
type Where = Pick<ServerAddress, 'host' | 'port'> & { fingerprint: string }

/**
 * The schemas that this process has dumped. An archive's table of contents is all that a schema is, so one that was seen
 * before has the fingerprint that was taken then: the tenants of a fleet share a few.
 */
export class KnownSchemas {
  readonly #schemas = new QuickLRU<string, KnownSchema>({ maxSize: 200 })
  readonly #tools = new QuickLRU<string, Tool>({ maxSize: 1000 })

  /** `head` is the table of contents of a schema whose every index is valid: one that is not is in no archive. */
  learn(head: Head, schema: KnownSchema, where: Where, tool: Tool): void {
    const contents = contentsOf(head)
    if (contents === undefined) return
    this.#schemas.set(contents, schema)
    this.#tools.set(keyOf(where), tool)
  }

  /** The program that has dumped such a schema there, if one has: worth a try that it is known. */
  toolFor(where: Where): Tool | undefined {
    return this.#tools.get(keyOf(where))
  }

  find(head: Head): KnownSchema | undefined {
    const contents = contentsOf(head)
    return contents === undefined ? undefined : this.#schemas.get(contents)
  }
}

const keyOf = ({ host, port, fingerprint }: Where) => JSON.stringify([host, port, fingerprint])

/** The entry that holds the ledger of migrations. */
export const ledgerEntry = ({ entries }: Head): number | undefined =>
  entries.find(entry => entry.copy === `COPY ${SCHEMA}.pgmigrations (id, name, run_on) FROM stdin;\n`)?.id

/**
 * A hash of everything in the table of contents that a fingerprint could depend on. Undefined where an archive does not
 * say all: large objects have rows that belong to no table, and another encoding than UTF-8 could make two texts alike.
 */
function contentsOf(head: Head): string | undefined {
  const { version, serverVersion, toolVersion, entries } = head
  const utf8 = entries.some(({ kind, definition }) => kind === 'ENCODING' && definition.includes(`'UTF8'`))
  const large = entries.some(({ kind }) => kind.startsWith('BLOB'))
  if (!utf8 || large || ledgerEntry(head) === undefined) return undefined
  const said = entries.filter(({ kind }) => !BESIDE.includes(kind)).map(describe)
  return createHash('sha256')
    .update(JSON.stringify([version, serverVersion, toolVersion, said]))
    .digest('hex')
}

/** Rights, remarks, where sequences stand, and the database as such: of these no fingerprint is made. */
const BESIDE = ['ACL', 'DEFAULT ACL', 'COMMENT', 'SEQUENCE SET', 'STATISTICS DATA', 'DATABASE', 'DATABASE PROPERTIES']

function describe({ kind, schema, tag, definition }: Entry): string[] {
  return [kind, schema ?? '', tag, kind === 'POLICY' ? withoutNames(definition) : definition]
}

/** A policy names roles before what it says; in a fingerprint they stand without the database that they are of. */
function withoutNames(policy: string): string {
  const end = policy.search(/ USING \(| WITH CHECK \(|$/)
  return policy.slice(0, end).replace(OURS, 'tenant') + policy.slice(end)
}

const OURS = new RegExp(`\\b${ourForm}`, 'g')
