// `npm run example`: the example product on the router, from a fresh clone. One process, so that Ctrl-C ends it in peace.
import { build, checkNode, install } from './prepare.mjs'

checkNode()
install()
build()
process.setSourceMapsEnabled(true)
await import(new URL('../dist/examples/product/demo/main.js', import.meta.url))
