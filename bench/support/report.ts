/** What a ratio must keep to. */
export type Target = { atMost: number } | { atLeast: number }

export interface Figure {
  what: string
  /** With its unit, as `5.2 ms`. */
  measured: string
  against: string
  ratio: number
  /** Absent: reported only. */
  target?: Target
}

/** Prints the figure beside its target; a target that is missed makes the program end with 1. */
export function figure({ what, measured, against, ratio, target }: Figure): void {
  const kept = target === undefined || ('atMost' in target ? ratio <= target.atMost : ratio >= target.atLeast)
  if (!kept) process.exitCode = 1
  const mark = target === undefined ? '-   ' : kept ? 'ok  ' : 'MISS'
  const limit =
    target === undefined ? '' : 'atMost' in target ? `, at most ${target.atMost}x` : `, at least ${target.atLeast}x`
  console.log(`${mark} ${what}: ${measured}, against ${against}: ${ratio.toFixed(2)}x${limit}`)
}

/** A line of explanation under a figure. */
export function note(text: string): void {
  console.log(`       ${text}`)
}

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`
export const perSecond = (value: number): string => `${value.toFixed(1)}/s`
