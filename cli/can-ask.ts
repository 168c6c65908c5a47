/** Whether somebody is there to answer: a question into a pipe would hang, or be answered by data. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}
