import { SaasctlError } from '../errors.js'

export type Moment = 'begun' | 'acted' | 'done' | 'undoing' | 'undone'

/** Called at each moment of each step; kills, stops or fails there when the tests ask for it. */
export type Failpoint = (kind: string, step: string, moment: Moment) => void

/**
 * Reads `kind/step:moment` or `kind/step:moment=fail|retry|stop`, several separated by commas; the default is SIGKILL,
 * because that is what nothing can catch. Each fires once per process.
 */
export function failpoints(spec: string | undefined): Failpoint {
  const armed = new Map(
    (spec ?? '')
      // Names of steps may have commas in them; what follows one that separates is a kind.
      .split(/,(?=[a-z.]+\/)/)
      .filter(Boolean)
      .map(entry => {
        const [at = '', action = 'kill'] = entry.split('=')
        return [at, action] as const
      })
  )
  if (armed.size === 0) return () => {}
  return (kind, step, moment) => {
    const at = `${kind}/${step}:${moment}`
    const action = armed.get(at)
    if (!action) return
    armed.delete(at)
    if (action === 'kill') process.kill(process.pid, 'SIGKILL')
    if (action === 'stop') process.kill(process.pid, 'SIGSTOP')
    if (action === 'fail') throw new SaasctlError('FAILED', `Failpoint ${at}.`)
    if (action === 'retry') throw new SaasctlError('SERVER_BUSY', `Failpoint ${at}.`, { retryable: true })
  }
}
