import { PassThrough, type Readable } from 'node:stream'

const PIECE = 256 * 1024

/** The driver gives a piece per row, and waiting for each costs more than the server needs to make it: few large ones. */
export function gathered(rows: Readable): Readable {
  const output = new PassThrough({ readableHighWaterMark: 4 * PIECE })
  let held: Buffer[] = []
  let bytes = 0
  const pass = () => {
    const piece = Buffer.concat(held)
    held = []
    bytes = 0
    if (output.write(piece)) return
    rows.pause()
    output.once('drain', () => rows.resume())
  }
  rows.on('data', (row: Buffer) => {
    held.push(row)
    bytes += row.length
    if (bytes >= PIECE) pass()
  })
  rows.on('end', () => {
    if (bytes > 0) pass()
    output.end()
  })
  rows.on('error', error => output.destroy(error))
  rows.on('close', () => {
    if (!rows.readableEnded) output.destroy(rows.errored ?? new Error('The connection broke'))
  })
  return output
}
