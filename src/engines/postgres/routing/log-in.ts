import type pg from 'pg'
import type { RoutedWay } from '../../routing.js'
import { answer, answerScram, notAsked } from '../log-in.js'
import type { IdentityCheck } from './identity-check.js'
import type { ScramMemo } from './scram-memo.js'
import { wireOf } from './wire.js'

/**
 * Takes the login over from the driver, which would hash the password anew for every connection, keep it, and send it in the
 * clear to a server that asks for that. Call it before anything came in. `check` goes out with the last message.
 */
export function logIn(client: pg.Client, way: RoutedWay, memo: ScramMemo, check: IdentityCheck): void {
  const { login, password } = way.as
  const refuse = () => {
    throw notAsked(login)
  }
  answer(wireOf(client), 'authenticationCleartextPassword', refuse)
  answer(wireOf(client), 'authenticationMD5Password', refuse)
  answerScram(
    client,
    login,
    (salt, count) => memo.keys(login, way.loginVersion, password, salt, count),
    wire => check.submit(wire)
  )
}
