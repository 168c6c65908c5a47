/** Tells the story: a sentence a line, each with the time that what it says took. */
export interface Narrator {
  chapter(title: string): void
  say(sentence: string): void
  /** Does it, then tells it with its time. The sentence may be made from what came out. */
  tell<T>(work: () => Promise<T>, sentence: string | ((outcome: T) => string)): Promise<T>
}

export function narrator(write: (line: string) => void = line => process.stdout.write(`${line}\n`)): Narrator {
  return {
    chapter: title => write(`\n${title}`),
    say: sentence => write(`  ${' '.repeat(9)} ${sentence}`),
    tell: async (work, sentence) => {
      const begin = performance.now()
      const outcome = await work()
      const time = `${Math.round(performance.now() - begin)} ms`
      write(`  ${time.padStart(9)} ${typeof sentence === 'string' ? sentence : sentence(outcome)}`)
      return outcome
    }
  }
}
