import { isAlive } from '../embedded/programs.js'

/**
 * Whether the process that did something at `since` is over. In a container the next one often has the same pid as the last:
 * what carries our own pid and is older than this process is not ours.
 */
export function isOver(pid: number, since: number): boolean {
  if (pid !== process.pid) return !isAlive(pid)
  return since < Date.now() - process.uptime() * 1000
}
