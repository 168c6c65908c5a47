import type { RequestFacts } from './facts.js'
import type { Refusal } from './refusal.js'

/** What a route option calls a source. The application's own may have any other name. */
export type SourceName = 'jwt' | 'host' | 'header' | 'path' | (string & Record<never, never>)

/** What a request says about its tenant, in a form that is safe to look up, to log and to compare. */
export interface Claim {
  readonly by: 'id' | 'slug' | 'hostname'
  readonly value: string
  readonly source: SourceName
  /** Proven by whoever sent it, with a token or as a trusted caller; a hostname or a path can be typed by anybody. */
  readonly verified: boolean
  /** Who it is, when a token says so. */
  readonly identity?: Identity
}

/** From a verified token. Frozen all the way down: requests with the same token share it. */
export interface Identity {
  readonly issuer: string
  /** The `sub` claim. It says nothing about the tenant: look the user up in the tenant's own database. */
  readonly userId: string | undefined
  readonly payload: Readonly<Record<string, unknown>>
}

/** A claim; a refusal, which ends the request whatever other sources say; undefined, when the request says nothing here. */
export type Said = Claim | Refusal | undefined

/** Reads one part of a request. Never throws for what a client sent. */
export interface Source {
  readonly name: SourceName
  /** Whether its claims are `verified`. */
  readonly proves: boolean
  /** The request's header that it reads: answers are different by it, and caches must know. */
  readonly vary?: string
  /** Synchronous where it can be: a promise costs a request more than reading its host does. */
  claim(request: RequestFacts): Said | Promise<Said>
}
