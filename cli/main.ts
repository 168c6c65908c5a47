#!/usr/bin/env node
import { run } from './run.js'

// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
// Nobody reads what is said beside the data: the work and its exit code are not touched by that.
process.stderr.on('error', () => {})

process.exitCode = await run(process.argv.slice(2))
