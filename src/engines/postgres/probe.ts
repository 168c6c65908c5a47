import { SaasctlError } from '../../errors.js'
import type { ServerFacts } from '../engine.js'
import { maySetTempFileLimit } from './limits.js'
import type { Session } from './session.js'

const OLDEST = 15

/** What the server is and can do. SERVER_UNSUPPORTED below PostgreSQL 15, which gave `public` to the database's owner. */
export async function probe(session: Session): Promise<ServerFacts> {
  const { version, major } = session
  if (!(major >= OLDEST)) {
    const { host, port } = session.place
    throw new SaasctlError('SERVER_UNSUPPORTED', `The server ${host}:${port} is PostgreSQL ${version}.`, {
      hint: `Use PostgreSQL ${OLDEST} or newer.`
    })
  }
  return {
    version,
    major,
    flavour: 'postgres',
    capabilities: {
      templateCopy: true,
      transactionalDdl: true,
      tempFileLimit: await maySetTempFileLimit(session),
      terminateSessions: await maySignal(session),
      timeLimits: true
    }
  }
}

async function maySignal(session: Session): Promise<boolean> {
  const [row] = await session.rows<{ may: boolean }>(
    `SELECT pg_catalog.pg_has_role('pg_signal_backend', 'USAGE') AS may`
  )
  return row?.may === true
}
