import { embedded } from '../../src/embedded/embedded.js'

// A command of its own, for tests that start or kill several at once: `node ensure-embedded.js HOME` prints the server's pid.
const [home = ''] = process.argv.slice(2)
const server = await embedded(home, { path: process.env['PATH'] ?? '' }).ensure(progress => console.error(progress))
console.log(server.pid)
