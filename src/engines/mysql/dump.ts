import { SaasctlError } from '../../errors.js'
import type { Dump } from '../dump.js'

export async function dump(): Promise<Dump> {
  throw new SaasctlError('SERVER_UNSUPPORTED', 'Databases of this server cannot be dumped.')
}
