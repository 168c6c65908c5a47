import { S3Client } from '@aws-sdk/client-s3'
import type { S3Access } from './open.js'

/** How long a store may stay silent; without, a dead connection would keep a backup for ever. */
const SILENCE_MS = 30_000

/** A client for AWS itself, or for what speaks its language at `endpoint`. */
export function s3Client({ endpoint, region, accessKey, secretKey, sessionToken }: S3Access): S3Client {
  return new S3Client({
    ...(region !== null && { region }),
    // Others than AWS often know no buckets as hosts, no region, and no checksums after the body.
    ...(endpoint !== null && {
      endpoint,
      region: region ?? 'us-east-1',
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED' as const,
      responseChecksumValidation: 'WHEN_REQUIRED' as const
    }),
    ...(accessKey !== null &&
      secretKey !== null && {
        credentials: {
          accessKeyId: accessKey,
          secretAccessKey: secretKey.reveal(),
          ...(sessionToken !== null && { sessionToken: sessionToken.reveal() })
        }
      }),
    requestHandler: { connectionTimeout: 5_000, requestTimeout: SILENCE_MS, socketTimeout: SILENCE_MS }
  })
}
