import { Writable } from 'node:stream'

export interface LogLines {
  stream: Writable
  lines: Array<Record<string, unknown>>
  text(): string
}

/** What a logger writes, kept. */
export function logLines(): LogLines {
  const lines: LogLines['lines'] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line))
      done()
    }
  })
  return { stream, lines, text: () => lines.map(line => JSON.stringify(line)).join('\n') }
}
