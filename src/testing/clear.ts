import { clearHome } from './home.js'

/** Run as a process of its own when a test process ends without having closed its tenants. */
const [folder = '', path = ''] = process.argv.slice(2)
if (/[/\\]saasctl-testing-[a-z0-9]*-\d+-[^/\\]+$/i.test(folder)) await clearHome(folder, path)
