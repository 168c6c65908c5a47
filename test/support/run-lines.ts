import { run } from '../../cli/run.js'

// Many command lines in one process, which costs a tenth of as many processes: `node run-lines.js JSON`, one list of words each.
// What they print goes nowhere; their exit codes and what they said on stderr are this program's own output.
const lines = JSON.parse(process.argv[2] ?? '[]') as string[][]
const write = process.stdout.write.bind(process.stdout)
const results: Array<{ code: number; said: string }> = []
for (const line of lines) {
  let said = ''
  process.stdout.write = () => true
  process.stderr.write = (text: string | Uint8Array) => {
    said += text
    return true
  }
  results.push({ code: await run(line), said })
}
write(JSON.stringify(results))
