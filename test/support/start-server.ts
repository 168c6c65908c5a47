import { startServer } from './servers.js'

// A test process to be killed: prints its server's data folder, and waits.
const { dataDir } = await startServer()
console.log(JSON.stringify({ dataDir }))
setInterval(() => undefined, 1000)
