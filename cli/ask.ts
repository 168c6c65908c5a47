import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { SaasctlError } from '../src/errors.js'

/** Asks on the terminal, on stderr because stdout is data. `hidden` shows nothing of what is typed. CANCELLED on Ctrl-C and Ctrl-D. */
export async function ask(question: string, { hidden = false } = {}): Promise<string> {
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: hidden ? silence : process.stderr, terminal: true })
  // The cursor stands behind the question, and that is where the line is drawn again while it is edited.
  lines.setPrompt(hidden ? '' : question.slice(question.lastIndexOf('\n') + 1))
  // Only now, for the terminal shows what is typed until the line above has taken it over.
  process.stderr.write(question)
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('SIGINT', () => reject(cancelled()))
      lines.once('close', () => reject(cancelled()))
      lines.prompt(true)
    })
  } finally {
    lines.removeAllListeners()
    lines.close()
    if (hidden) process.stderr.write('\n')
  }
}

function cancelled(): SaasctlError {
  return new SaasctlError('CANCELLED', 'Nothing was changed: the question was not answered.')
}
