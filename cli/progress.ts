import type { ProgressLine } from '../src/operations/run.js'
import type { Flags } from './flags.js'
import { fit, oneLine } from './text.js'

/**
 * What is going on, on stderr: one live line per step on a terminal, plain lines elsewhere, and one JSON object per line
 * with `-o json` and `ndjson`. Quiet says nothing.
 */
export class Progress {
  readonly #flags: Pick<Flags, 'output' | 'quiet' | 'verbose'>
  readonly #stream: NodeJS.WriteStream
  #live = false

  constructor(flags: Pick<Flags, 'output' | 'quiet' | 'verbose'>, stream: NodeJS.WriteStream = process.stderr) {
    this.#flags = flags
    this.#stream = stream
  }

  /** One sentence for people. */
  notice(sentence: string): void {
    if (this.#flags.quiet) return
    this.#print(sentence, { notice: sentence })
  }

  /** What to run next. Programs know that themselves. */
  next(sentence: string): void {
    if (this.#flags.output === 'table') this.notice(`→ ${sentence}`)
  }

  /** Whether there is a terminal to draw on, for a person who wants to see it. */
  get draws(): boolean {
    const { quiet, output } = this.#flags
    return this.#stream.isTTY && !quiet && output === 'table'
  }

  get columns(): number {
    return this.#stream.columns || 80
  }

  /** A line that the next one takes the place of. Only where `draws` says so. */
  live(text: string): void {
    if (this.draws) this.#show(text, false)
  }

  step(label: string | undefined, line: ProgressLine): void {
    const { quiet, output } = this.#flags
    if (quiet) return
    if (output !== 'table') this.#print('', { ...(label && { tenant: label }), ...line })
    else this.#say(label, line)
  }

  #say(label: string | undefined, line: ProgressLine): void {
    const { verbose } = this.#flags
    const text = `${label ? `${label}: ` : ''}${wordsOf(line)}`
    if (this.#stream.isTTY && line.moment !== 'undone')
      this.#show(line.moment === 'done' ? `✓ ${text}` : `… ${text}`, line.moment === 'done')
    else if (line.moment !== 'done' || verbose) this.#print(line.moment === 'done' ? `${text}: done` : text, {})
  }

  /** Takes the live line away, so that what follows stands alone. */
  clear(): void {
    if (this.#live) this.#stream.write('\r\u001b[K')
    this.#live = false
  }

  #show(text: string, stays: boolean): void {
    this.clear()
    this.#stream.write(`${fit(oneLine(text), (this.#stream.columns || 80) - 1)}${stays ? '\n' : ''}`)
    this.#live = !stays
  }

  #print(text: string, object: object): void {
    this.clear()
    this.#stream.write(this.#flags.output === 'table' ? `${oneLine(text)}\n` : `${JSON.stringify(object)}\n`)
  }
}

function wordsOf({ kind, step, moment, note }: ProgressLine): string {
  if (moment === 'note') return `${step}: ${note}`
  return moment === 'undone' ? `${kind}: took back "${step}"` : `${kind}: ${step}`
}
