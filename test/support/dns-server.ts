import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** Answers TXT questions from a table, on loopback. What is not in the table is NXDOMAIN; null is never answered. */
export interface DnsServer {
  address: string
  records: Map<string, string[][] | null>
  close(): Promise<void>
}

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const records = new Map<string, string[][] | null>()
  socket.on('message', (question, from) => {
    const [name, end] = nameIn(question)
    const found = records.get(name)
    if (found === null) return
    const head = Buffer.alloc(12)
    question.copy(head, 0, 0, 2)
    // An answer; with recursion; 3 is NXDOMAIN.
    head.writeUInt16BE(0x8180 | (found ? 0 : 3), 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(found?.length ?? 0, 6)
    socket.send(
      Buffer.concat([head, question.subarray(12, end + 4), ...(found ?? []).map(answer)]),
      from.port,
      from.address
    )
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    records,
    close: async () => {
      socket.close()
      await once(socket, 'close')
    }
  }
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
  const head = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0])
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}
