import { CommanderError } from 'commander'
import { asSaasctlError } from '../src/errors.js'
import { asksForJson, checkArguments, normalArguments } from './arguments.js'
import { complain } from './complain.js'
import type { Flags } from './flags.js'
import { makeProgram, usageError } from './program.js'

/** Runs one command line. The only place where an error becomes an exit code. */
export async function run(argv: string[]): Promise<number> {
  const program = makeProgram()
  try {
    checkArguments(argv)
    await program.parseAsync(normalArguments(argv), { from: 'user' })
    return 0
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0
    const error = thrown instanceof CommanderError ? usageError(program, thrown, argv) : asSaasctlError(thrown)
    const { output, verbose } = program.opts<Flags>()
    // An error in the arguments comes before the flags behind it were read.
    complain(error, { json: output !== 'table' || asksForJson(argv), verbose })
    return error.exit
  }
}
