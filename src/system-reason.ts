import { getSystemErrorMap } from 'node:util'

/** What the system says of a file, in words: "no such file or directory" for ENOENT. */
export function systemReason({ errno, code, message }: NodeJS.ErrnoException): string {
  const [, words] = (errno === undefined ? undefined : getSystemErrorMap().get(errno)) ?? []
  return words ?? code ?? message
}
