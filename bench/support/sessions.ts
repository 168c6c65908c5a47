import pg from 'pg'
import type { TestServer } from '../../test/support/servers.js'

/** How many sessions of routers a server has at the same time, looked at every 20 ms. */
export interface Sessions {
  /** The most that were seen since this was last asked. */
  most(): number
  stop(): Promise<void>
}

export async function watchSessions(server: TestServer): Promise<Sessions> {
  const { login, password } = server.superuser
  const client = new pg.Client({
    host: server.socketDir,
    port: server.port,
    user: login,
    password,
    database: 'postgres'
  })
  await client.connect()
  let most = 0
  const look = async () => {
    const { rows } = await client.query<{ now: number }>(
      `select count(*)::int as now from pg_stat_activity where application_name like 'app/%'`
    )
    most = Math.max(most, rows[0]?.now ?? 0)
  }
  let looking = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(look)
  }, 20)
  return {
    most: () => {
      const seen = most
      most = 0
      return seen
    },
    stop: async () => {
      clearInterval(timer)
      await looking
      await client.end()
    }
  }
}
