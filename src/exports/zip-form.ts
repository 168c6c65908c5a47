import { open } from 'node:fs/promises'
import type { Entry } from 'yauzl'
import { damaged } from './unpack.js'

const LOCAL_HEAD = 30
const CENTRAL_HEAD = 46
const END = 22

/**
 * Looks at everything in a zip that is no content: in front of each file, between them, in the directory and behind it
 * stands what we write and nothing else. The sizes are the directory's; contents have checksums of their own.
 */
export async function checkZip(path: string, bytes: number, entries: readonly Entry[]): Promise<void> {
  const file = await open(path, 'r')
  const read = async (position: number, length: number) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
    if (bytesRead < length) throw damaged('it ends too early')
    return buffer
  }
  try {
    let at = 0
    const central: Buffer[] = []
    const date = entries[0] && (await read(10, 4))
    for (const entry of entries) {
      const name = Buffer.from(entry.fileName)
      if (entry.relativeOffsetOfLocalHeader !== at) throw damaged(`something stands before ${entry.fileName}`)
      if (!(await read(at, LOCAL_HEAD + name.length)).equals(localHead(name, date)))
        throw damaged(`the head of ${entry.fileName} was changed`)
      at += LOCAL_HEAD + name.length + entry.compressedSize
      const large = entry.uncompressedSize > 0xfffffffe || entry.compressedSize > 0xfffffffe
      const descriptor = descriptorOf(entry, large)
      if (!(await read(at, descriptor.length)).equals(descriptor))
        throw damaged(`the end of ${entry.fileName} was changed`)
      at += descriptor.length
      if (!large && entry.relativeOffsetOfLocalHeader < 0xffffffff) central.push(centralHead(entry, name, date))
      else central.push(await read(at, 0))
    }
    const plain = entries.length < 0xffff && at < 0xffffffff && central.every(({ length }) => length > 0)
    // Beyond 4 GB the directory has another form; yauzl has read it, and contents are proven by the manifest.
    if (!plain) return
    const directory = Buffer.concat(central)
    const rest = Buffer.concat([directory, endOf(entries.length, directory.length, at)])
    if (bytes !== at + rest.length || !(await read(at, rest.length)).equals(rest))
      throw damaged('its directory was changed')
  } finally {
    await file.close()
  }
}

function localHead(name: Buffer, date: Buffer | undefined): Buffer {
  const head = Buffer.alloc(LOCAL_HEAD)
  head.writeUInt32LE(0x04034b50, 0)
  head.writeUInt16LE(20, 4)
  head.writeUInt16LE(0x0808, 6)
  head.writeUInt16LE(8, 8)
  date?.copy(head, 10)
  head.writeUInt16LE(name.length, 26)
  return Buffer.concat([head, name])
}

function descriptorOf({ crc32, compressedSize, uncompressedSize }: Entry, large: boolean): Buffer {
  const end = Buffer.alloc(large ? 24 : 16)
  end.writeUInt32LE(0x08074b50, 0)
  end.writeUInt32LE(crc32, 4)
  if (large) {
    end.writeBigUInt64LE(BigInt(compressedSize), 8)
    end.writeBigUInt64LE(BigInt(uncompressedSize), 16)
  } else {
    end.writeUInt32LE(compressedSize, 8)
    end.writeUInt32LE(uncompressedSize, 12)
  }
  return end
}

function centralHead(entry: Entry, name: Buffer, date: Buffer | undefined): Buffer {
  const head = Buffer.alloc(CENTRAL_HEAD)
  head.writeUInt32LE(0x02014b50, 0)
  head.writeUInt16LE((3 << 8) | 63, 4)
  head.writeUInt16LE(20, 6)
  head.writeUInt16LE(0x0808, 8)
  head.writeUInt16LE(8, 10)
  date?.copy(head, 12)
  head.writeUInt32LE(entry.crc32, 16)
  head.writeUInt32LE(entry.compressedSize, 20)
  head.writeUInt32LE(entry.uncompressedSize, 24)
  head.writeUInt16LE(name.length, 28)
  head.writeUInt32LE((0o100644 << 16) >>> 0, 38)
  head.writeUInt32LE(entry.relativeOffsetOfLocalHeader, 42)
  return Buffer.concat([head, name])
}

function endOf(entries: number, size: number, offset: number): Buffer {
  const end = Buffer.alloc(END)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entries, 8)
  end.writeUInt16LE(entries, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(offset, 16)
  return end
}
