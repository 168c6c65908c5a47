import { createClient } from '@redis/client'

/** A Redis that may be away: commands fail at once or within 200 ms instead of waiting for it, and it is looked for again. */
export async function openRedis(url: string, onError: (error: Error) => void) {
  const redis = createClient({ url, disableOfflineQueue: true, commandOptions: { timeout: 200 } })
  // Without a listener a lost connection would end the process.
  redis.on('error', onError)
  await redis.connect()
  return redis
}
