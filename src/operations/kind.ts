import type { Json } from '../canonical.js'
import type { Actor } from '../catalog/audit.js'
import type { Catalog, Transaction } from '../catalog/catalog.js'
import type { Exclusion, OperationRow } from '../catalog/operations.js'
import type { Fence } from '../engines/engine.js'
import type { EngineRegistry } from '../engines/registry.js'
import type { KeyStore } from '../secrets/keystore.js'
import type { Stores } from '../stores/store.js'
import type { Operations } from './operations.js'

/** What every operation is given; use-cases open nothing themselves. */
export interface Tools {
  catalog: Catalog
  engine: EngineRegistry
  keys: KeyStore
  /** Where backups and exports are kept. */
  stores: Stores
  /** The value of PATH: where programs of the databases are looked for. */
  path: string
  /** Reads a template's files. Handed in, because folders are configuration. */
  folders: { templates: string; project: string }
  grace: { deleteSeconds: number; slugSeconds: number; finalBackupSeconds: number; exportSeconds: number }
}

/**
 * What the steps of one run share. `enter` opens the session that acts on the server; the runner calls it before it
 * records the first step that acts, so that a server that is down leaves nothing begun.
 */
export interface Work {
  enter?: ((fence: Fence) => Promise<void>) | undefined
  leave?(): Promise<void>
}

/** One part of an operation. Every part may be repeated: what exists, or is already gone, is success. */
export interface Step<W extends Work = Work> {
  name: string
  /**
   * The side effect, on a server. `signal` aborts when it is no longer ours to do, or is to be cancelled and still can be:
   * a step that takes long ends with the signal's reason.
   */
  act?(work: W, progress: (sentence: string) => void, signal: AbortSignal): Promise<void>
  /** What the catalog learns from it, in the same transaction as "done". */
  commit?(tx: Transaction, work: W): Promise<void>
  /** Takes the side effect back. Repeatable, and fine when there is nothing to take back. */
  undo?(work: W): Promise<void>
}

/** A kind of operation: the list of its steps is what a reader should be able to say aloud. */
export interface Kind<Input = Json, W extends Work = Work> {
  name: string
  /** Grows when the input's form changes, so that an older row is refused or read as what it is. */
  inputVersion: number
  exclusion: Exclusion
  /** Its work enters no server: whoever promises it and works it at once records its first step as begun with the promise. */
  fenceless?: true
  /** The step after which it only goes forward, or `start`; absent: it can be taken back until the end. */
  pivot?: string
  steps: ReadonlyArray<Step<W>>
  open(tools: Tools, operation: OperationRow<Input>): Promise<W>
  /** What `operation show` and the API give back; called in the transaction that ends it. */
  result?(work: W): Json
  /** After everything was taken back, in the transaction that ends it as failed or cancelled. */
  failed?(tx: Transaction, operation: OperationRow<Input>): Promise<void>
}

/** What promising an operation needs to know of its kind. */
export type KindHead = Pick<Kind, 'name' | 'inputVersion' | 'exclusion' | 'fenceless'> & {
  steps: ReadonlyArray<{ name: string }>
}

/** What a use-case works with, in one operator's name. */
export interface Context extends Tools {
  actor: Actor
  /** Of the token that proves the actor, for what the catalog looks at by itself; null where it is asserted. */
  tokenHash?: Buffer | null
  operations: Operations
}

/** Kinds by name, loaded when one is first asked for. */
export interface Kinds {
  names: string[]
  load(name: string): Promise<Kind>
}
