import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { type Child, startVerb } from './child.js'
import type { ControlPlane } from './control-plane.js'
import type { VerbName } from './verbs.js'

/** The operation that the process has begun to work. */
export async function operationOf(child: Child): Promise<string> {
  const { progress } = await child.says(line => line.progress?.moment === 'begun')
  return progress?.operation ?? ''
}

/** Waits until the process has stopped itself: SIGSTOP sends no word. */
export async function stopped(child: Child): Promise<void> {
  const state = async () => (await readFile(`/proc/${child.pid}/stat`, 'utf8')).replace(/^.*\) /, '').charAt(0)
  while ((await state()) !== 'T') await sleep(10)
}

export interface Sleeper {
  child: Child
  operation: string
  /** Lets it go on, and waits until it has ended. */
  wakeUp(): Promise<void>
}

/** A process that stops itself at the failpoint of `argument`'s verb, and sleeps until it is woken. */
export async function sleeper(
  test: Test,
  plane: ControlPlane,
  verb: VerbName,
  argument: Parameters<typeof startVerb>[2],
  failpoint: string
): Promise<Sleeper> {
  const child = startVerb(plane.env, verb, argument, `${failpoint}=stop`)
  test.teardown(() => child.kill('SIGKILL'))
  const operation = await operationOf(child)
  await stopped(child)
  return {
    child,
    operation,
    wakeUp: async () => {
      child.kill('SIGCONT')
      await child.ended
    }
  }
}
