import { canonical, type Json } from '../canonical.js'
import { approvalById } from '../catalog/approvals.js'
import { tenantChain } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { chainHead } from '../catalog/erasure.js'
import { readInstance } from '../catalog/instance.js'
import type { KeyStore } from '../secrets/keystore.js'
import { signer } from '../secrets/signing.js'

/** What was looked at before it was signed. */
const verified = [
  'the database is not on its server, nor is any of its four logins',
  'the server refuses each of these logins with its last password',
  'the tenant’s databases of before a restore are gone in the same way; its backups and exports in our stores are deleted',
  'the key of the tenant is not in the key store: what was sealed with it opens for nobody',
  'what the audit trail and the catalog said of the tenant is erased; its chain of events is whole'
]

/** What no program can promise; it belongs into the certificate as much as the rest. */
const notCovered = [
  'the database servers’ own copies: write-ahead and binary logs, replicas and physical backups, until they are recycled',
  'exports and dumps that were handed out',
  'copies of the key store and key backups made before: destroy them, or what they hold of this tenant',
  'backups of the catalog made before: they hold its name, but no key',
  'what applications, logs and other systems have copied from the database',
  'the tenant’s former name, kept back from others for the time of its quarantine'
]

export interface Certificate extends Record<string, Json> {
  /** Canonical JSON: exactly the bytes that are signed. */
  body: string
  /** Base64 of the raw Ed25519 signature. */
  signature: string
  keyId: string
}

/** Signs that the tenant is erased. Names operators by id only: the certificate holds nobody's personal data. */
export async function certificateOf(
  tx: Transaction,
  keys: KeyStore,
  { tenantId, approvalId, databaseId }: { tenantId: string; approvalId: string; databaseId: string | null }
): Promise<Certificate> {
  // One after the other: they share the transaction's connection.
  const approval = await approvalById(tx, approvalId)
  const head = await chainHead(tx, tenantChain(tenantId))
  const { incarnation } = await readInstance(tx)
  const { sign, keyId } = await signer(keys)
  const [clock] = await tx.query<{ now: Date }>(`select date_trunc('milliseconds', clock_timestamp()) as now`)
  const body = canonical({
    type: 'saasctl erasure certificate',
    v: 1,
    tenant: tenantId,
    catalog: incarnation,
    database: databaseId,
    erasedAt: (clock?.now ?? new Date()).toISOString(),
    approval: approvalId,
    requestedBy: approval?.requestedBy ?? null,
    approvedBy: approval?.decidedBy ?? null,
    chain: head ? { seq: head.seq, hash: head.hash } : null,
    verified,
    notCovered,
    keyId
  })
  return { body, signature: sign(Buffer.from(body)).toString('base64'), keyId }
}
