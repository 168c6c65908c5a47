import type { Command } from 'commander'
import { printFindings } from '../findings.js'
import { withExamples } from '../help.js'
import { type Session, withSaasctl } from '../session.js'

export function doctor(noun: Command): void {
  withExamples(noun, [
    'doctor  # exit 8 when something is wrong',
    'doctor --fix  # mends what is provably safe to mend',
    'doctor -o json'
  ])
    .option('--fix', 'mend what is provably safe to mend')
    .action(withSaasctl(examine))
}

async function examine(session: Session, { fix = false }: { fix?: boolean }): Promise<void> {
  const { doctor: run } = await import('../../src/doctor/doctor.js')
  const { findings } = await run(session.saasctl, { fix, onProgress: session.wait().onProgress })
  printFindings(session, findings, 'this installation')
}
