// The compiler writes plain files; npm links `bin` as it is, and a linked checkout needs the executable bit.
import { chmodSync } from 'node:fs'

chmodSync(new URL('../dist/cli/main.js', import.meta.url), 0o755)
