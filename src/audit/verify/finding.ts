/** What is wrong with the trail, and where. */
export interface TrailFinding {
  level: 'error'
  /** For machines: `event.edited`. */
  code: TrailCode
  /** `tenant:<id>#5`, `checkpoint 3`. */
  place: string
  message: string
}

export type TrailCode =
  | 'event.edited'
  | 'event.missing'
  | 'event.moved'
  | 'event.unlinked'
  | 'event.rewritten'
  | 'payload.edited'
  | 'payload.missing'
  | 'chain.cut'
  | 'chain.grown'
  | 'clock.back'
  | 'checkpoint.key'
  | 'checkpoint.signature'
  | 'checkpoint.replayed'
  | 'checkpoint.missing'
  | 'checkpoint.edited'
  | 'checkpoint.heads'
  | 'checkpoint.other'
  | 'catalog.rewound'

export function finding(code: TrailCode, place: string, message: string): TrailFinding {
  return { level: 'error', code, place, message }
}

/** Where an event is, as `audit show` takes it. */
export function placeOf({ chain, seq }: { chain: string; seq: number }): string {
  return `${chain}#${seq}`
}
