// `npm start`: from a fresh clone to a tenant's life on real databases.
import { build, checkNode, install, root, run } from './prepare.mjs'

checkNode()
install()
build()
run(process.execPath, ['--enable-source-maps', `${root}dist/examples/life.js`])
