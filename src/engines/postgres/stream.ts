import pg from 'pg'

const BATCH = 200

/**
 * Reads a statement's rows as they come. The socket is paused while a batch is being taken, so that no more than that and
 * what the driver has parsed already is in memory. Goes by the extended protocol, which takes one statement and no more.
 */
export function stream<Row extends object>(
  client: pg.Client,
  sql: string,
  maxRows: number,
  take: (rows: Row[]) => Promise<void>
): Promise<{ rows: number; cut: boolean }> {
  const { stream: socket } = client.connection
  return new Promise((resolve, reject) => {
    let batch: Row[] = []
    let rows = 0
    let cut = false
    let taking = Promise.resolve()
    const hand = () => {
      const full = batch
      batch = []
      socket.pause()
      taking = taking.then(() => take(full)).then(() => void socket.resume())
      taking.catch(fail)
    }
    const fail = (error: unknown) => {
      reject(error)
      socket.destroy()
    }
    const query = new pg.Query<Row>({ text: sql, queryMode: 'extended' } as pg.QueryConfig)
    query.on('row', (row: Row) => {
      if (cut) return
      if (rows === maxRows) {
        cut = true
        // The rest may be without end: only the end of the session ends it.
        taking.then(() => take(batch)).then(() => resolve({ rows, cut }), reject)
        socket.destroy()
        return
      }
      rows += 1
      batch.push(row)
      if (batch.length === BATCH) hand()
    })
    query.on('error', error => {
      if (!cut) reject(error)
    })
    query.on('end', () => {
      taking.then(() => take(batch)).then(() => resolve({ rows, cut }), reject)
    })
    client.query(query)
  })
}
