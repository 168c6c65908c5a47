import { SaasctlError } from '../errors.js'

/**
 * A text's lines as they come, without their LF alone: a CR may be part of a value. Not by readline, which takes more
 * characters for line ends than dumps do. What is no UTF-8 is refused with `hint`: read all the same, it would be other text.
 */
export async function* linesOf(bytes: AsyncIterable<Buffer>, hint: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const decode = (chunk?: Buffer) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch (cause) {
      throw notUtf8(hint, cause)
    }
  }
  let rest = ''
  for await (const chunk of bytes) {
    const lines = (rest + decode(chunk)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  rest += decode()
  if (rest !== '') yield rest
}

export const notUtf8 = (hint: string, cause?: unknown) =>
  new SaasctlError('INVALID_INPUT', 'The dump holds what is no UTF-8.', { hint, cause })
