import type pg from 'pg'
import type { Secret } from '../../secret.js'
import { type Wire, wireOf } from './routing/wire.js'
import { deriveKeys, type Keys, notOurs, ScramLogin } from './scram.js'

type Message = { mechanisms: string[]; data: string }

/** Puts our answer to a message of the login in the place of the driver's. */
export function answer(wire: Wire, event: string, act: (message: Message) => unknown): void {
  wire.removeAllListeners(event)
  wire.on(event, async message => {
    try {
      await act(message)
    } catch (error) {
      wire.emit('error', error)
    }
  })
}

/**
 * Takes a login by SCRAM over from the driver: call it when it connects, before anything came in. `last` is called beside the last message,
 * to send something that the server reads as soon as it has let us in.
 */
export function answerScram(
  client: pg.Client,
  login: string,
  keysFor: (salt: string, iterations: number) => Promise<Keys>,
  last: (wire: Wire) => void = () => {}
): void {
  const wire = wireOf(client)
  const scram = new ScramLogin(keysFor)
  let asked = false
  answer(wire, 'authenticationSASL', ({ mechanisms }) => {
    if (!mechanisms.includes('SCRAM-SHA-256')) throw notAsked(login)
    asked = true
    wire.sendSASLInitialResponseMessage('SCRAM-SHA-256', scram.first())
  })
  answer(wire, 'authenticationSASLContinue', async ({ data }) => {
    const final = await scram.answer(data)
    wire.stream.cork()
    wire.sendSCRAMClientFinalMessage(final)
    last(wire)
    wire.stream.uncork()
  })
  answer(wire, 'authenticationSASLFinal', ({ data }) => scram.verify(data))
  answer(wire, 'authenticationOk', () => {
    if (asked && !scram.verified)
      throw notOurs('The server let us in without proving that it knows the login’s password.')
  })
}

export const notAsked = (login: string) => notOurs(`The server did not ask for scram-sha-256 when "${login}" came in.`)

/**
 * The same for a session of the control plane's, where the server asks for it: one hop to another thread, and the driver
 * takes nine (0.4 ms of CPU a connection). A password that would have to be prepared first stays with the driver.
 */
export function answerScramFor(client: pg.Client, login: string, password: Secret): void {
  if (!/^[\x20-\x7e]+$/.test(password.reveal())) return
  answerScram(client, login, (salt, iterations) => deriveKeys(password, salt, iterations))
}
