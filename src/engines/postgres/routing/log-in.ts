import type pg from 'pg'
import type { RoutedWay } from '../../routing.js'
import type { IdentityCheck } from './identity-check.js'
import { notOurs, ScramLogin, type ScramMemo } from './scram.js'
import { wireOf } from './wire.js'

/**
 * Takes the login over from the driver, which would hash the password anew for every connection, keep it, and send it in the
 * clear to a server that asks for that. Call it before anything came in. `check` goes out with the last message.
 */
export function logIn(client: pg.Client, way: RoutedWay, memo: ScramMemo, check: IdentityCheck): void {
  const wire = wireOf(client)
  const { login, password } = way.as
  const scram = new ScramLogin((salt, count) => memo.keys(login, way.loginVersion, password, salt, count))
  let asked = false
  const on = (event: string, act: (message: { mechanisms: string[]; data: string }) => unknown) => {
    wire.removeAllListeners(event)
    wire.on(event, async message => {
      try {
        await act(message)
      } catch (error) {
        wire.emit('error', error)
      }
    })
  }
  const refuse = () => {
    throw notOurs(`The server did not ask for scram-sha-256 when "${login}" came in.`)
  }
  on('authenticationCleartextPassword', refuse)
  on('authenticationMD5Password', refuse)
  on('authenticationSASL', ({ mechanisms }) => {
    if (!mechanisms.includes('SCRAM-SHA-256')) refuse()
    asked = true
    wire.sendSASLInitialResponseMessage('SCRAM-SHA-256', scram.first())
  })
  on('authenticationSASLContinue', async ({ data }) => {
    const answer = await scram.answer(data)
    wire.stream.cork()
    wire.sendSCRAMClientFinalMessage(answer)
    check.submit(wire)
    wire.stream.uncork()
  })
  on('authenticationSASLFinal', ({ data }) => scram.verify(data))
  on('authenticationOk', () => {
    if (asked && !scram.verified)
      throw notOurs('The server let us in without proving that it knows the login’s password.')
  })
}
