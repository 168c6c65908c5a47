import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** `saasctl worker` in a process of its own, as customers run it; resolves when it is ready. */
export async function workerProcess(env: Record<string, string>): Promise<{ stop(): Promise<void> }> {
  const program = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
  const child = spawn(process.execPath, [program, 'worker'], {
    env,
    cwd: env['SAASCTL_HOME'],
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_000)
      if (/is ready/.test(said)) resolve()
    })
    child.once('exit', code => reject(new Error(`The worker ended with ${code}: ${said}`)))
  })
  return {
    stop: async () => {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }
}
