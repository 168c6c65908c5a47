import type { Credentials, DatabaseNames, Finding } from './engine.js'

/** What is to be known of a foreign database before it is taken over. */
export interface Survey {
  bytes: number
  /** Of the database itself; null where databases have no owners. */
  owner: string | null
  /** Roles that own something in it, and how many things. */
  owners: Array<{ role: string; objects: number }>
  /** Logins and groups that have rights to it now, and will have none. */
  losing: string[]
  /** Sessions that are connected now, and would be ended. */
  sessions: number
  /** What stands in the way, each with the statement that an administrator runs. */
  lacking: Finding[]
}

/** A database that becomes ours in place: nothing in it is copied. */
export interface Adoption {
  names: DatabaseNames
  databaseId: string
  owner: Credentials
  /** What it was called. */
  from: string
}

/** A database that becomes somebody else's again. */
export interface Release {
  names: DatabaseNames
  owner: Credentials
  /** What it is called from then on, where it was renamed. */
  name: string
  /** The role that owns it and all that is in it from then on; null where databases have no owners. */
  to: string | null
}

/** Verbs that may be repeated, each whatever an earlier try has left. */
export interface Takeover {
  /** Lets our owner login in to look, and changes nothing inside. */
  letIn(adoption: Adoption): Promise<void>
  /** Looks, so let in, for what an administrator must do first: SERVER_RIGHTS has the statements. */
  inspect(adoption: Adoption): Promise<void>
  /** Takes that back. */
  letOut(adoption: Adoption): Promise<void>
  /** Ends who is connected, keeps others out, and gives the database its name of ours. */
  close(adoption: Adoption): Promise<void>
  /** Gives everything inside to our owner login, strips other roles' rights, and writes identity row and ledger table. */
  handOver(adoption: Adoption): Promise<void>
  /** Takes all that is ours out of the database and gives it away; its data stays. Our logins remain, without rights. */
  giveBack(release: Release): Promise<void>
}
