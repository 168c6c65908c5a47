/** Cuts a stream of bytes into the messages of PostgreSQL's protocol and looks at each one's kind and beginning. */
abstract class Turns {
  #held: Buffer = Buffer.alloc(0)

  /** How many turns these bytes end. */
  push(bytes: Uint8Array): number {
    this.#held = Buffer.concat([this.#held, bytes])
    let turns = 0
    for (;;) {
      const kind = this.kindBytes()
      if (this.#held.length < kind + 4) return turns
      const length = kind + this.#held.readInt32BE(kind)
      if (this.#held.length < length) return turns
      if (this.ends(this.#held.subarray(0, kind).toString('latin1'), this.#held.subarray(kind + 4, length))) turns += 1
      this.#held = this.#held.subarray(length)
    }
  }

  /** How long the kind of the next message is. */
  protected kindBytes(): number {
    return 1
  }

  protected abstract ends(kind: string, body: Buffer): boolean
}

/** A client has had its turn after its first message, a query, a Sync or an answer to a question about its password. */
export class ClientTurns extends Turns {
  #begun = false

  /** The first message has no kind. */
  protected override kindBytes(): number {
    return this.#begun ? 1 : 0
  }

  protected ends(kind: string): boolean {
    if (!this.#begun) {
      this.#begun = true
      return true
    }
    return ['Q', 'S', 'p'].includes(kind)
  }
}

const [OK, SASL_FINAL] = [0, 12]

/** A server has had its turn when it waits: for a query, or for an answer about the password. */
export class ServerTurns extends Turns {
  protected ends(kind: string, body: Buffer): boolean {
    return kind === 'Z' || kind === 'G' || (kind === 'R' && ![OK, SASL_FINAL].includes(body.readInt32BE(0)))
  }
}
