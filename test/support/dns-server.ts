import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** An error as RFC 1035 numbers it. */
export const SERVFAIL = 2
const NXDOMAIN = 3
/** What a datagram may hold; a longer answer is cut off, and asked for again over TCP. */
const DATAGRAM = 512

/** Answers TXT questions from a table, on loopback, as name servers do. */
export interface DnsServer {
  address: string
  /** Each record's strings, or an error. What is not in the table is NXDOMAIN; null is never answered. */
  records: Map<string, string[][] | number | null>
  close(): Promise<void>
}

export async function startDnsServer(): Promise<DnsServer> {
  const records: DnsServer['records'] = new Map()
  const sockets = new Set<Socket>()
  const streams = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', framed => {
      const answer = answerTo(framed.subarray(2), records)
      if (answer) socket.write(Buffer.concat([uint16(answer.length), answer]))
    })
  })
  streams.listen(0, '127.0.0.1')
  await once(streams, 'listening')
  const { port } = streams.address() as AddressInfo
  const datagrams = createSocket('udp4')
  datagrams.on('message', (question, from) => {
    const answer = answerTo(question, records, DATAGRAM)
    if (answer) datagrams.send(answer, from.port, from.address)
  })
  datagrams.bind(port, '127.0.0.1')
  await once(datagrams, 'listening')
  return {
    address: `127.0.0.1:${port}`,
    records,
    close: async () => {
      datagrams.close()
      for (const socket of sockets) socket.destroy()
      streams.close()
      await once(streams, 'close')
    }
  }
}

function answerTo(question: Buffer, records: DnsServer['records'], limit = 65_535): Buffer | undefined {
  const [name, end] = nameIn(question)
  const found = records.get(name) ?? (records.has(name) ? null : NXDOMAIN)
  if (found === null) return undefined
  const message = (code: number, answers: Buffer[]) => {
    // An answer, with recursion.
    const head = Buffer.concat([question.subarray(0, 2), uint16(0x8180 | code), uint16(1), uint16(answers.length)])
    return Buffer.concat([head, Buffer.alloc(4), question.subarray(12, end + 4), ...answers])
  }
  if (typeof found === 'number') return message(found, [])
  const whole = message(0, found.map(answer))
  return whole.length <= limit ? whole : message(0x0200, [])
}

function nameIn(question: Buffer): [name: string, end: number] {
  const labels: string[] = []
  let at = 12
  for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
    labels.push(question.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return [labels.join('.').toLowerCase(), at + 1]
}

/** The name as a pointer to the question's, type TXT, class IN, no lifetime, and strings of at most 255 bytes. */
function answer(strings: string[]): Buffer {
  const data = Buffer.concat(strings.map(text => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])))
  return Buffer.concat([Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0]), uint16(data.length), data])
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}
