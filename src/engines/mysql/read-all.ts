import type { Readable } from 'node:stream'

/** Everything that a stream of objects has at a time, until its end. Fails with its error. */
export async function* readAll<Item>(stream: Readable): AsyncGenerator<Item[]> {
  let failed: Error | undefined
  let wake = () => {}
  stream.on('error', error => {
    failed ??= error
  })
  for (const event of ['readable', 'end', 'error', 'close']) stream.on(event, () => wake())
  try {
    for (;;) {
      const items: Item[] = []
      for (let item = stream.read(); item !== null; item = stream.read()) items.push(item)
      if (items.length > 0) yield items
      else if (failed) throw failed
      else if (stream.readableEnded) return
      else if (stream.closed) throw Object.assign(new Error('The stream was closed early'), { code: 'ECONNRESET' })
      else {
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
    }
  } finally {
    stream.destroy()
  }
}
