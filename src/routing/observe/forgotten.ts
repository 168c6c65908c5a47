import { SaasctlError } from '../../errors.js'

/**
 * A handler that forgets to await its database work leaves a promise that nobody holds. It ends with LEASE_ENDED when the
 * request does, and in Node an error that nobody holds ends the process, with the requests of every tenant in it. This error
 * alone is logged instead; every other one does what it did before.
 */
const listeners = new Set<(error: SaasctlError) => void>()

function onUnhandled(reason: unknown): void {
  if (reason instanceof SaasctlError && reason.code === 'LEASE_ENDED') {
    for (const listener of listeners) listener(reason)
    return
  }
  // With a listener, Node leaves it to the listener; when we are the only one, it must end as it would have without us.
  if (process.listenerCount('unhandledRejection') === 1) throw reason
}

/** Until the function that is given back is called. */
export function survivingForgottenAwaits(listener: (error: SaasctlError) => void): () => void {
  if (listeners.size === 0) process.on('unhandledRejection', onUnhandled)
  listeners.add(listener)
  return () => {
    if (!listeners.delete(listener) || listeners.size > 0) return
    process.off('unhandledRejection', onUnhandled)
  }
}
