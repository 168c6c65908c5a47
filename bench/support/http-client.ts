import { connect, type Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'

/** Sends requests as they are and reads only how long the answers are, so that the client costs less than any server. */
interface Load {
  port: number
  messages: string[]
  connections: number
  requests: number
}

parentPort?.on('message', async (load: Load) => {
  try {
    await send(load)
    parentPort?.postMessage('done')
  } catch (error) {
    parentPort?.postMessage(String(error))
  }
})

async function send({ port, messages, connections, requests }: Load): Promise<void> {
  let sent = 0
  const next = () => (sent < requests ? messages[sent++ % messages.length] : undefined)
  await Promise.all(Array.from({ length: connections }, () => converse(connect(port, '127.0.0.1').setNoDelay(), next)))
}

/** One request after another until there is none; all good answers of a server are of one length. */
function converse(socket: Socket, next: () => string | undefined): Promise<void> {
  let length = 0
  let read = 0
  return new Promise((resolve, reject) => {
    const go = () => {
      const message = next()
      if (message === undefined) socket.end()
      else socket.write(message)
    }
    socket
      .on('connect', go)
      .on('close', () => resolve())
      .on('error', reject)
    socket.on('data', chunk => {
      if (length === 0 && !chunk.includes('HTTP/1.1 200'))
        return socket.destroy(new Error(chunk.toString().slice(0, 300)))
      if (length === 0) length = chunk.length
      read += chunk.length
      if (read > length) return socket.destroy(new Error('An answer is longer than the first.'))
      if (read < length) return
      read = 0
      go()
    })
  })
}
