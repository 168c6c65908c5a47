import type { Transaction } from '../catalog/catalog.js'
import { violates } from '../catalog/errors.js'
import { lockSubject } from '../catalog/operations.js'
import {
  countAdmins,
  insertOperator,
  lockOperator,
  markRevoked,
  type OperatorRole,
  type OperatorRow,
  replaceToken
} from '../catalog/operators.js'
import { SaasctlError } from '../errors.js'
import { parseName, quoteInput, uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { newToken } from './token.js'

export interface Issued {
  operator: Pick<OperatorRow, 'id' | 'name' | 'role'>
  /** Shown once; the catalog keeps its hash. */
  token: Secret
  expiresAt: Date
}

/** A person's or program's entry, with its first token. OPERATOR_EXISTS for a name that somebody has or had. */
export async function createOperator(
  context: Context,
  wish: { name: string; role: OperatorRole; lifeSeconds: number }
): Promise<Issued> {
  const operator = { id: uuidv7(), name: parseName(wish.name, 'operator'), role: wish.role }
  try {
    return await context.catalog.transaction(context.actor, async tx => {
      await insertOperator(tx, operator)
      event(tx, operator.id, 'operator.create', { name: operator.name, role: operator.role })
      return await issue(tx, operator, wish.lifeSeconds, 0)
    })
  } catch (error) {
    if (!violates(error, 'operator_name')) throw error
    throw new SaasctlError(
      'OPERATOR_EXISTS',
      `There is or was an operator ${wish.name}; the trail would mix the two up.`,
      {
        hint: 'Choose another name.'
      }
    )
  }
}

/** Ends every token at once. The last admin's are refused unless nobody else is left: nobody could let anybody in again. */
export async function revokeOperator(context: Context, name: string): Promise<void> {
  await context.catalog.transaction(context.actor, async tx => {
    // Two admins who revoke each other at once would each still see the other one.
    await lockSubject(tx, 'operators')
    const operator = await mustFind(tx, name)
    await markRevoked(tx, operator.id)
    if (operator.role === 'admin' && (await countAdmins(tx)) === 0) {
      throw new SaasctlError('OPERATOR_STATE', `${name} is the last admin with a token.`, {
        hint: 'Make another admin first: saasctl operator create NAME --role admin'
      })
    }
    event(tx, operator.id, 'operator.revoke', { name, role: operator.role })
  })
}

/** A new token; the earlier ones end after `overlapSeconds`, so that a program can be given it without a gap. */
export async function renewToken(
  context: Context,
  name: string,
  wish: { lifeSeconds: number; overlapSeconds: number }
): Promise<Issued> {
  return context.catalog.transaction(context.actor, async tx =>
    issue(tx, await mustFind(tx, name), wish.lifeSeconds, wish.overlapSeconds)
  )
}

async function issue(
  tx: Transaction,
  { id, name, role }: Issued['operator'],
  lifeSeconds: number,
  overlapSeconds: number
): Promise<Issued> {
  const { token, hash } = newToken()
  const expiresAt = await replaceToken(tx, { operatorId: id, hash, lifeSeconds, overlapSeconds })
  event(tx, id, 'operator.token', { name, expiresAt: expiresAt.toISOString() })
  return { operator: { id, name, role }, token, expiresAt }
}

async function mustFind(tx: Transaction, name: string): Promise<OperatorRow> {
  const operator = await lockOperator(tx, name)
  if (!operator) {
    throw new SaasctlError('OPERATOR_NOT_FOUND', `There is no operator ${quoteInput(name)}.`, {
      hint: 'List them with "saasctl operator list".'
    })
  }
  if (operator.revokedAt) {
    throw new SaasctlError('OPERATOR_STATE', `Operator ${name} was revoked, and does not come back.`, {
      hint: 'Make another one, with another name.'
    })
  }
  return operator
}

function event(tx: Transaction, id: string, action: string, payload: Record<string, string>): void {
  tx.audit({ chain: 'operator', action, subject: `operator:${id}`, payload })
}
