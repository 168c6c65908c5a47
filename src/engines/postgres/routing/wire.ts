import type pg from 'pg'

/** What of the driver is used beyond its types. A change of any of it fails the tests of this folder. */
export interface Wire extends pg.Connection {
  sendSASLInitialResponseMessage(mechanism: string, response: string): void
  sendSCRAMClientFinalMessage(response: string): void
}

interface Insides {
  /** The server waits for a statement: nothing runs, and the transaction's status is known. */
  readyForQuery?: boolean
  processID: number | null
  secretKey: number | null
}

export const wireOf = (client: pg.Client): Wire => client.connection as Wire

/** A client that has never been ready, or whose driver no longer says so, counts as busy. */
export const isReady = (client: pg.Client): boolean => (client as unknown as Insides).readyForQuery === true

export function sessionOf(client: pg.Client): { processId: number; secretKey: number } | undefined {
  const { processID, secretKey } = client as unknown as Insides
  return processID === null || secretKey === null ? undefined : { processId: processID, secretKey }
}
