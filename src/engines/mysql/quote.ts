/** Quotes a value in every sql_mode: text that would need a backslash is refused. */
export function literal(value: string): string {
  if (value.includes('\\')) throw new TypeError('A literal of ours has no backslash.')
  return `'${value.replaceAll("'", "''")}'`
}
