import type { RoutedConnection } from '../../engines/routing.js'
import type { TenantPool } from '../tenant-pool.js'

/** A former tenant's connection as the pool's own. Whatever stood in the way, also before the engine was asked: it is let go. */
export async function repointed(
  former: RoutedConnection,
  repoint: NonNullable<TenantPool['repoint']>
): Promise<RoutedConnection> {
  try {
    return await repoint(former)
  } catch (error) {
    await former.close()
    throw error
  }
}
