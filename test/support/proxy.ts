import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy of the test's own, in this process: the network as it is on a bad day. */
export interface TcpProxy {
  port: number
  /** Connections that clients have opened so far. */
  accepted: number
  /** Milliseconds that every piece is late, in each direction. */
  latency: number
  /**
   * `pass`: as it comes. `silent`: connections stay and new ones open, nothing arrives any more. `closed`: new connections
   * are refused with a reset.
   */
  mode: 'pass' | 'silent' | 'closed'
  /** Lost on the way the next time that a client says `text`, or anything when it is empty, after `skip` times; once. */
  lose(what: Lost, text: string, skip?: number): Trap
  /** Nothing is lost any more. */
  calm(): void
  /** Resolves when the next client closes its connection. */
  abandoned(): Promise<void>
  /** Resets every connection there is. */
  cut(): void
  /** Every connection there is stays open and carries nothing any more; new ones pass. */
  hang(): void
  close(): Promise<void>
}

/**
 * `question`: the server does not hear it. `answer`: the server hears it and does it. In both cases the client gets a reset,
 * and cannot tell. `word`: the server does not hear it, and the client gets nothing at all.
 */
export type Lost = 'question' | 'answer' | 'word'

export interface Trap {
  what: Lost
  text: string
  skip: number
  /** Whether the client has said it. */
  heard: boolean
  /** Whether it was lost. What has no answer, as a goodbye, cannot lose it. */
  sprung: boolean
}

interface Link {
  client: Socket
  server: Socket
  /** Set once the server has heard what its answer will be lost to. */
  losing: Trap | undefined
  hung: boolean
}

export async function proxyTo(target: { host: string; port: number }): Promise<TcpProxy> {
  const links = new Set<Link>()
  let trap: Trap | undefined
  const reset = ({ client, server }: Link) => {
    client.resetAndDestroy()
    server.destroy()
  }
  /** Whether the piece may go on to the server. */
  const hear = (link: Link, piece: Buffer): boolean => {
    if (!trap || !piece.includes(trap.text)) return true
    if (trap.skip > 0) {
      trap.skip -= 1
      return true
    }
    const { what } = trap
    trap.heard = true
    if (what === 'answer') link.losing = trap
    else {
      trap.sprung = true
      if (what === 'question') reset(link)
    }
    trap = undefined
    return what === 'answer'
  }

  const listener: Server = createServer(client => {
    proxy.accepted += 1
    if (proxy.mode === 'closed') return void client.resetAndDestroy()
    const server = connect(target)
    const link: Link = { client, server, losing: undefined, hung: false }
    links.add(link)
    const carry = (from: Socket, to: Socket, allowed: (piece: Buffer) => boolean) => {
      // Late pieces must not overtake one another, also when the latency changes between two of them.
      let before = Promise.resolve()
      from.on('data', piece => {
        if (proxy.mode === 'silent' || link.hung || !allowed(piece)) return
        const late = new Promise<void>(resolve => (proxy.latency > 0 ? setTimeout(resolve, proxy.latency) : resolve()))
        before = Promise.all([before, late]).then(() => void (to.destroyed || to.write(piece)))
      })
      from.on('error', () => {})
      from.on('close', () => {
        links.delete(link)
        before = before.then(() => void to.end())
      })
    }
    client.once('close', () => listener.emit('abandoned'))
    carry(client, server, piece => hear(link, piece))
    carry(server, client, () => {
      if (!link.losing) return true
      link.losing.sprung = true
      reset(link)
      return false
    })
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  const proxy: TcpProxy = {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    accepted: 0,
    latency: 0,
    mode: 'pass',
    lose: (what, text, skip = 0) => {
      trap = { what, text, skip, heard: false, sprung: false }
      return trap
    },
    calm: () => {
      trap = undefined
    },
    abandoned: () => new Promise(resolve => listener.once('abandoned', resolve)),
    cut: () => {
      for (const link of links) reset(link)
    },
    hang: () => {
      for (const link of links) link.hung = true
    },
    close: () => {
      for (const link of links) reset(link)
      return new Promise(resolve => listener.close(() => resolve()))
    }
  }
  return proxy
}

/** The same URL, through the proxy. */
export function through(proxy: TcpProxy, url: string): string {
  const changed = new URL(url)
  changed.port = String(proxy.port)
  return changed.href
}
