import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A free port of the loopback address: the wished one if it can be had. */
export async function choosePort(wished: number | undefined): Promise<number> {
  return wished !== undefined && (await becomesFree(wished)) ? wished : await freePort()
}

/** A server that was killed a moment ago still holds its port. */
async function becomesFree(port: number): Promise<boolean> {
  for (let attempt = 0; attempt < 25; attempt += 1) {
    if (await isFree(port)) return true
    await sleep(20)
  }
  return false
}

/** Below the ports that systems hand out to outgoing connections (32768 and up), which could take ours while we are stopped. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.on('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
