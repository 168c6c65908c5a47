import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy of the test's own, in this process: the network as it is on a bad day. */
export interface Proxy {
  port: number
  /** Milliseconds that every piece is late, in each direction. */
  latency: number
  /**
   * `pass`: as it comes. `silent`: connections stay and new ones open, nothing arrives any more. `closed`: new connections
   * are refused with a reset.
   */
  mode: 'pass' | 'silent' | 'closed'
  /** The next time a client says `text`: the server hears it and does it, and the client gets a reset for an answer. Once. */
  loseAnswerTo(text: string, skip?: number): Promise<void>
  /** The next time a client says `text`: the server does not hear it any more, and the client gets a reset. Once. */
  cutBefore(text: string, skip?: number): Promise<void>
  /** Resets every connection there is. */
  cut(): void
  close(): Promise<void>
}

interface Trap {
  text: string
  skip: number
  heard: boolean
  sprung: () => void
}

interface Link {
  client: Socket
  server: Socket
  /** Set once the server has heard what its answer will be lost to. */
  losing: Trap | undefined
}

export async function proxyTo(target: { host: string; port: number }): Promise<Proxy> {
  const links = new Set<Link>()
  let trap: Trap | undefined
  const reset = ({ client, server }: Link) => {
    client.resetAndDestroy()
    server.destroy()
  }
  const set = (text: string, skip: number, heard: boolean) =>
    new Promise<void>(resolve => {
      trap = { text, skip, heard, sprung: resolve }
    })

  /** Whether the piece may go on to the server. */
  const hear = (link: Link, piece: Buffer): boolean => {
    if (!trap || !piece.includes(trap.text)) return true
    if (trap.skip > 0) {
      trap.skip -= 1
      return true
    }
    const sprung = trap
    trap = undefined
    if (sprung.heard) link.losing = sprung
    else {
      reset(link)
      sprung.sprung()
    }
    return sprung.heard
  }

  const listener: Server = createServer(client => {
    if (proxy.mode === 'closed') return void client.resetAndDestroy()
    const server = connect(target)
    const link: Link = { client, server, losing: undefined }
    links.add(link)
    const carry = (from: Socket, to: Socket, allowed: (piece: Buffer) => boolean) => {
      // Late pieces must not overtake one another, also when the latency changes between two of them.
      let before = Promise.resolve()
      from.on('data', piece => {
        if (proxy.mode === 'silent' || !allowed(piece)) return
        const late = new Promise<void>(resolve => (proxy.latency > 0 ? setTimeout(resolve, proxy.latency) : resolve()))
        before = Promise.all([before, late]).then(() => void (to.destroyed || to.write(piece)))
      })
      from.on('error', () => {})
      from.on('close', () => {
        links.delete(link)
        before = before.then(() => void to.end())
      })
    }
    carry(client, server, piece => hear(link, piece))
    carry(server, client, () => {
      if (!link.losing) return true
      reset(link)
      link.losing.sprung()
      return false
    })
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  const proxy: Proxy = {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    latency: 0,
    mode: 'pass',
    loseAnswerTo: (text, skip = 0) => set(text, skip, true),
    cutBefore: (text, skip = 0) => set(text, skip, false),
    cut: () => {
      for (const link of links) reset(link)
    },
    close: () => {
      for (const link of links) reset(link)
      return new Promise(resolve => listener.close(() => resolve()))
    }
  }
  return proxy
}

/** The same URL, through the proxy. */
export function through(proxy: Proxy, url: string): string {
  const changed = new URL(url)
  changed.port = String(proxy.port)
  return changed.href
}
