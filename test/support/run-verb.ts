import { writeSync } from 'node:fs'
import { loadConfig } from '../../src/config.js'
import { asSaasctlError } from '../../src/errors.js'
import { open } from '../../src/saasctl.js'
import { doVerb, type VerbName } from './verbs.js'

// A process of its own, to be killed: `node run-verb.js VERB JSON`, the control plane in its environment. Each line is
// written at once, so that what a killed process has said is known.
const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`)
const [name = '', argument = '{}'] = process.argv.slice(2)
const saasctl = await open(loadConfig())
try {
  say({ opened: true })
  await doVerb(saasctl, name as VerbName, JSON.parse(argument), line => say({ progress: line }))
  say({ succeeded: true })
} catch (error) {
  say({ error: asSaasctlError(error) })
} finally {
  await saasctl.close()
}
