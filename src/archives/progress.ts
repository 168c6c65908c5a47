/** At most so often somebody is told. */
const EVERY_MS = 1000

/** How large it is going to be: as the one before was, or at most as the database is. */
export interface Expected {
  bytes: number
  atMost: boolean
}

/** Tells how far a transfer is, with its speed and, where its size can be guessed, how long it will take. */
export function transferProgress(
  say: (sentence: string) => void,
  expected: Expected | undefined
): (bytes: number) => void {
  const startedAt = performance.now()
  let saidAt = startedAt
  return bytes => {
    const now = performance.now()
    if (now - saidAt < EVERY_MS) return
    saidAt = now
    say(transferred(bytes, (now - startedAt) / 1000, expected))
  }
}

/** `12.3 MB of about 40 MB, 3.1 MB/s, 9 s left`. */
export function transferred(bytes: number, seconds: number, expected: Expected | undefined): string {
  const speed = bytes / Math.max(seconds, 0.001)
  const parts = [size(bytes), `${size(speed)}/s`]
  if (expected && expected.bytes > bytes) {
    const left = Math.ceil((expected.bytes - bytes) / Math.max(speed, 1))
    parts[0] += ` of ${expected.atMost ? 'at most' : 'about'} ${size(expected.bytes)}`
    parts.push(`${expected.atMost ? 'at most ' : ''}${time(left)} left`)
  }
  return parts.join(', ')
}

/** Decimal units, as disks and stores are sold. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  for (; value >= 999.5 && unit < units.length - 1; unit += 1) value /= 1000
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

function time(seconds: number): string {
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
