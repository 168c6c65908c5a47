import { SaasctlError } from '../../errors.js'

export async function restore(): Promise<void> {
  throw new SaasctlError('SERVER_UNSUPPORTED', 'Databases of this server cannot be restored.')
}
