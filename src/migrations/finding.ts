import type { EngineName, Finding } from '../engines/engine.js'

/** One line of `saasctl migration check`. */
export interface MigrationFinding extends Finding {
  engine: EngineName
  /** Path from the project's folder; absent where it is about no single file. */
  file?: string
  line?: number
}

/** What is said of one file; who calls knows which engine and folder. */
export type FileFinding = Omit<MigrationFinding, 'engine'>
