import pg from 'pg'
import { canonical } from '../canonical.js'
import { SaasctlError } from '../errors.js'
import type { Actor, AuditEvent } from './audit.js'
import { catalogError } from './errors.js'

/** A statement that each connection plans once; `prepared` makes it. */
export interface Statement {
  name: string
  text: string
}

/** Anything that answers SQL: the catalog itself, or one transaction of it. */
export interface Queryable {
  query<Row extends object = Record<string, unknown>>(sql: string | Statement, values?: unknown[]): Promise<Row[]>
}

export interface Transaction extends Queryable {
  /** Promises an audit event; all of them are appended just before the commit, so that a chain's head is locked last. */
  audit(event: AuditEvent): void
}

/** The catalog as it was at one moment, however long reading it takes. */
export interface Snapshot extends Queryable {
  /** The rows of a query in PostgreSQL's binary COPY form, as fast as they are taken. */
  copy(sql: string): AsyncIterable<Buffer>
}

/** A connection that listens. It answers SQL too, which tells whether anybody is at its other end still. */
export interface Ear extends Queryable {
  release(): void
}

export interface CatalogOptions {
  /** Connections at most; 4. */
  max?: number
  applicationName?: string
  /** How long a connection may take to open, or to become free, in milliseconds; 10,000. */
  connectTimeoutMs?: number
  /** How long an answer may take, in milliseconds; 30,000. */
  answerTimeoutMs?: number
  /** Told what was committed, after it was. */
  onCommit?: (events: readonly AuditEvent[]) => void
}

/** The catalog database, as one login sees it. */
export class Catalog implements Queryable {
  readonly #pool: pg.Pool
  readonly #connection: pg.ClientConfig
  readonly #onCommit: (events: readonly AuditEvent[]) => void

  constructor(url: string, options: CatalogOptions = {}) {
    this.#connection = {
      connectionString: url,
      application_name: options.applicationName ?? 'saasctl',
      connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000
    }
    this.#onCommit = options.onCommit ?? (() => {})
    this.#pool = new pg.Pool({
      ...this.#connection,
      max: options.max ?? 4,
      // Every statement of ours is a short one: what has no answer by now has none coming.
      query_timeout: options.answerTimeoutMs ?? 30_000,
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: true
    })
    // Without listeners a connection that the server ends would end the process: an idle one, and one that is lent out.
    this.#pool.on('error', () => {})
    this.#pool.on('connect', client => client.on('error', () => {}))
  }

  async query<Row extends object = Record<string, unknown>>(
    sql: string | Statement,
    values?: unknown[]
  ): Promise<Row[]> {
    try {
      // One connection per statement, given back whatever happened: pool.query() destroys it on any SQL error.
      const client = await this.#pool.connect()
      let broken = false
      try {
        return (await client.query<Row>(said(sql, values))).rows
      } catch (error) {
        broken = isAway(error)
        throw error
      } finally {
        client.release(broken)
      }
    } catch (error) {
      throw catalogError(error)
    }
  }

  /**
   * Runs `work` in one transaction and commits it together with the audit events it promised, in `actor`'s name.
   * When the commit's answer is lost the error says so: the change may or may not be there.
   */
  async transaction<T>(actor: Actor, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await ours(this.#pool.connect())
    const events: AuditEvent[] = []
    const tx: Transaction = {
      query: async <Row extends object>(sql: string | Statement, values?: unknown[]) =>
        (await ours(client.query<Row>(said(sql, values)))).rows,
      audit: event => events.push(event)
    }
    let broken: Error | boolean | undefined
    try {
      await tx.query('begin')
      const result = await work(tx)
      await append(tx, actor, events)
      await commit(client)
      this.#onCommit(events)
      return result
    } catch (error) {
      // The server takes back by itself what a connection that is gone has not committed.
      broken = isAway(error)
      if (!broken)
        await client.query('rollback').catch((rollbackError: Error) => {
          broken = rollbackError
        })
      throw error
    } finally {
      client.release(broken)
    }
  }

  /**
   * Reads at one moment, on a connection of one's own: for what is too much to hold in memory. Not one of the pool's, whose
   * bound on an answer would end what is read slowly, and keep the process alive as long. What `work` itself fails with, at a
   * file or a store, is thrown as it is.
   */
  async snapshot<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const client = new pg.Client({ ...this.#connection })
    client.on('error', () => {})
    try {
      await ours(client.connect())
      await ours(client.query('begin transaction isolation level repeatable read read only'))
      return await work(snapshotOn(client))
    } finally {
      // In the middle of a stream that nobody reads on, this cuts the connection.
      await client.end()
    }
  }

  /**
   * A connection of one's own for LISTEN; `onLost` is called once when it ends by itself. Give it back with `release`. What
   * is asked on it has an answer within `answerTimeoutMs`: a connection that is dead without a word is found out by asking.
   */
  async listen(
    channel: string,
    { onNotice, onLost, answerTimeoutMs }: { onNotice(payload: string): void; onLost(): void; answerTimeoutMs: number }
  ): Promise<Ear> {
    const client = await ours(this.#pool.connect())
    let over = false
    const release = () => {
      if (over) return
      over = true
      client.release(true)
    }
    const lost = () => {
      if (over) return
      release()
      onLost()
    }
    client.on('notification', message => onNotice(message.payload ?? ''))
    client.on('error', lost)
    client.on('end', lost)
    const query = async <Row extends object>(sql: string | Statement, values: unknown[] = []) =>
      (await ours(client.query<Row>({ ...said(sql, values), ...{ query_timeout: answerTimeoutMs } }))).rows
    try {
      await query(`listen ${pg.escapeIdentifier(channel)}`)
    } catch (error) {
      release()
      throw error
    }
    return { query, release }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

function snapshotOn(client: pg.Client): Snapshot {
  return {
    query: async <Row extends object>(sql: string | Statement, values?: unknown[]) =>
      (await client.query<Row>(said(sql, values))).rows,
    copy: async function* (sql) {
      const { to } = await import('pg-copy-streams')
      const stream = to(`copy (${sql}) to stdout (format binary)`)
      stream.on('error', () => {})
      try {
        // Destroyed by whoever stops early it would wait for an end that does not come; its connection ends with the snapshot.
        yield* client.query(stream).iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
      } catch (error) {
        throw catalogError(error)
      }
    }
  }
}

/** What the driver fails with becomes an error of ours. */
function ours<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    throw catalogError(error)
  })
}

const names = new Map<string, string>()

/**
 * For what is asked again and again and always of the same few rows: parsing and planning took three quarters of the
 * server's time for it. Not for pages and choices, whose best plan depends on the values, and only for a text that is the
 * same each time.
 */
export function prepared(text: string): Statement {
  const name = names.get(text) ?? `saasctl_${names.size}`
  names.set(text, name)
  return { name, text }
}

/** The driver writes the values into what it is given. */
const said = (sql: string | Statement, values: unknown[] | undefined): pg.QueryConfig => ({
  ...(typeof sql === 'string' ? { text: sql } : sql),
  ...(values && { values })
})

const isAway = (error: unknown) => catalogError(error).code === 'CATALOG_UNREACHABLE'

async function commit(client: pg.PoolClient): Promise<void> {
  const { command } = await client.query('commit').catch((error: unknown) => {
    const reason = catalogError(error)
    if (reason.code !== 'CATALOG_UNREACHABLE') throw reason
    throw new SaasctlError(
      reason.code,
      'The catalog went away while a change was being committed: it may be there or not.',
      {
        hint: 'Look before you try again.',
        cause: error
      }
    )
  })
  // PostgreSQL answers a COMMIT after a failed statement with ROLLBACK, and no error.
  if (command !== 'COMMIT')
    throw new SaasctlError('FAILED', 'A change of the catalog was rolled back: a statement in it had failed.')
}

/** Chains are locked in one order everywhere, so that two transactions with several events cannot wait for each other. */
async function append(tx: Queryable, actor: Actor, events: AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  const ordered = events
    .filter(event => !event.erases)
    .sort((a, b) => (a.chain < b.chain ? -1 : a.chain > b.chain ? 1 : 0))
  await tx.query(
    prepared(
      `select saasctl.audit_append(chain, $1, $2, action, subject, payload)
       from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as e (chain, action, subject, payload)`
    ),
    [
      actor.name,
      actor.proof,
      ordered.map(event => event.chain),
      ordered.map(event => event.action),
      ordered.map(event => event.subject),
      ordered.map(event => canonical(event.payload))
    ]
  )
  // Last of all, so that what this transaction itself wrote down of the subject goes too.
  for (const { chain, subject, payload } of events.filter(event => event.erases)) {
    const values = [chain, actor.name, actor.proof, subject, canonical(payload)]
    await tx.query('select saasctl.audit_erase($1, $2, $3, $4, $5)', values)
  }
}

/** The one row of a query that must have one. */
export function only<Row>(rows: Row[], what: string): Row {
  const [row] = rows
  if (row === undefined || rows.length > 1) {
    throw new SaasctlError('FAILED', `The catalog gave ${rows.length} rows where one was expected (${what}).`)
  }
  return row
}
