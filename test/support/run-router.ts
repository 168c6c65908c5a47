import { writeSync } from 'node:fs'
import { loadConfig } from '../../src/config.js'
import type { RouterOptions } from '../../src/router.js'
import { routerApp } from './router-app.js'

// A router in a process of its own: `node run-router.js JSON`, its way in to the catalog in its environment. It ends by
// SIGTERM as an application would: requests finish, and nothing keeps the process alive afterwards.
const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`)
const options = JSON.parse(process.argv[2] ?? '{}') as Partial<RouterOptions>
const app = await routerApp({ ...options, config: loadConfig(), onNotice: notice => say({ notice }) })
process.once('SIGTERM', () => void app.close().then(() => say({ closed: true })))
const url = await app.listen({ host: '127.0.0.1', port: 0 })
say({ port: Number(new URL(url).port) })
