import { writeSync } from 'node:fs'
import { loadConfig } from '../../src/config.js'
import { open } from '../../src/saasctl.js'
import { runWorker } from '../../src/worker.js'

// A worker in a process of its own: works until SIGTERM, or until it is killed.
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
const saasctl = await open(loadConfig())
const log = (line: object) => void writeSync(1, `${JSON.stringify({ log: line })}\n`)
try {
  await runWorker(saasctl, { concurrency: saasctl.config.concurrency, log, signal: stopping.signal })
} finally {
  await saasctl.close()
}
