const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** As `duration` reads it, in the largest unit that it is whole in. */
export function printDuration(milliseconds: number): string {
  const [unit, size] = Object.entries(units).findLast(([, size]) => milliseconds % size === 0) ?? ['ms', 1]
  return milliseconds === 0 ? '0s' : `${milliseconds / size}${unit}`
}

/** Milliseconds of `300ms`, `15s`, `10m`, `2h`, `7d`. */
export function duration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text)
  if (!match) throw new Error('must be a duration such as 15s, 10m or 7d')
  return Number(match[1]) * (units[match[2] ?? ''] ?? 1)
}
