import type { Command } from 'commander'
import { packageVersion } from '../../src/version.js'
import { withExamples } from '../help.js'
import { type Desk, withDesk } from '../session.js'

export function version(noun: Command): void {
  withExamples(noun, ['version', 'version -o json']).action(withDesk(show))
}

async function show({ print }: Desk): Promise<void> {
  print.text(`saasctl ${packageVersion()}`, { version: packageVersion(), node: process.versions.node })
}
