import { SaasctlError } from '../../errors.js'
import type { ServerFacts } from '../engine.js'
import { missingRights } from './check-control.js'
import type { Session } from './session.js'

/** MariaDB 10.11 is the first with all of what is used here that is still cared for; MySQL's first with SHOW_ROUTINE is 8.0.20. */
const OLDEST = { mariadb: '10.11', mysql: '8.0.20' }
const NAMES = { mariadb: 'MariaDB', mysql: 'MySQL' }

/** What the server is and can do. SERVER_UNSUPPORTED for one that is too old. */
export async function probe(session: Session): Promise<ServerFacts> {
  const { version, major, flavour, place } = session
  if (version.localeCompare(OLDEST[flavour], 'en', { numeric: true }) < 0) {
    throw new SaasctlError(
      'SERVER_UNSUPPORTED',
      `The server ${place.host}:${place.port} is ${NAMES[flavour]} ${version}.`,
      {
        hint: `Use ${NAMES[flavour]} ${OLDEST[flavour]} or newer.`
      }
    )
  }
  const missing = await missingRights(session)
  return {
    version,
    major,
    flavour,
    capabilities: {
      templateCopy: false,
      transactionalDdl: false,
      tempFileLimit: false,
      terminateSessions: !missing.some(right => /CONNECTION.ADMIN|PROCESS/.test(right)),
      // MySQL's limit is a SELECT's alone, and it has none for idle transactions.
      timeLimits: flavour === 'mariadb'
    }
  }
}
