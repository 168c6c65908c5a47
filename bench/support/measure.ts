/** Milliseconds of one variant, over the rounds. */
export class Samples {
  readonly sorted: number[]

  constructor(values: number[]) {
    this.sorted = [...values].sort((a, b) => a - b)
  }

  get median(): number {
    return this.quantile(0.5)
  }

  get p99(): number {
    return this.quantile(0.99)
  }

  /** The nearest rank: a value that was measured. */
  quantile(share: number): number {
    return this.sorted[Math.max(0, Math.ceil(share * this.sorted.length) - 1)] ?? Number.NaN
  }
}

export type Variants = Record<string, () => Promise<unknown>>

export interface Rounds {
  rounds: number
  /** Rounds that are run and not counted: caches, compiled code and connections are as they will be. */
  warmUp: number
}

/**
 * Times variants in turn, A B A B …, so that whatever else the machine does falls on all alike. Every second round goes
 * B A: what one leaves to be written behind it does not always fall on the same other.
 */
export async function alternate<V extends Variants>(
  variants: V,
  { rounds, warmUp }: Rounds
): Promise<Record<keyof V, Samples>> {
  const times = new Map(Object.keys(variants).map(name => [name, [] as number[]]))
  const order = Object.entries(variants)
  for (let round = -warmUp; round < rounds; round += 1) {
    for (const [name, run] of round % 2 === 0 ? order : [...order].reverse()) {
      const took = await timed(run)
      if (round >= 0) times.get(name)?.push(took)
    }
  }
  return Object.fromEntries([...times].map(([name, values]) => [name, new Samples(values)])) as Record<keyof V, Samples>
}

/** How long it takes, in milliseconds. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await run()
  return performance.now() - from
}

/** Runs `act` for 0 … count-1, at most `width` at a time. */
export async function together(count: number, width: number, act: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async () => {
    for (let index = next++; index < count; index = next++) await act(index)
  }
  await Promise.all(Array.from({ length: width }, lane))
}
