import type { Command } from 'commander'
import type { WorkerLine } from '../../src/worker.js'
import { withExamples } from '../help.js'
import { Progress } from '../progress.js'
import { type Desk, inSession, withDesk } from '../session.js'
import { oneLine } from '../text.js'

export function worker(noun: Command): void {
  withExamples(noun, ['worker', 'worker --concurrency 4', 'worker -o ndjson 2>> worker.log'])
    .option('--concurrency <n>', 'how many operations at a time')
    .action(withDesk(work))
}

/** Until SIGTERM or SIGINT; what is at work comes to its end, a second signal leaves it to the others. */
async function work(desk: Desk, { concurrency }: { concurrency?: string }): Promise<void> {
  const config = desk.config(concurrency === undefined ? {} : { concurrency })
  const progress = new Progress({ ...desk.flags, quiet: true })
  await inSession({ ...desk, progress }, config, async ({ saasctl, interrupt }) => {
    interrupt.end()
    if (saasctl.embedded) log({ level: 'info', message: `works on the embedded catalog in ${config.home}` }, desk)
    const stop = new AbortController()
    const onSignal = () => (stop.signal.aborted ? process.exit(130) : stop.abort())
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
    const { runWorker } = await import('../../src/worker.js')
    await runWorker(saasctl, { concurrency: config.concurrency, log: line => log(line, desk), signal: stop.signal })
  })
}

/** One line each: for people with a time, for programs as JSON. */
function log({ level, message, operation }: WorkerLine, { flags }: Desk): void {
  if (flags.quiet && level === 'info') return
  const at = new Date().toISOString()
  const line =
    flags.output === 'table' && process.stderr.isTTY
      ? `${at.slice(11, 19)} ${level === 'error' ? 'ERROR ' : ''}${oneLine(message)} ${operation ?? ''}`
      : JSON.stringify({ at, level, message, operation })
  process.stderr.write(`${line.trimEnd()}\n`)
}
