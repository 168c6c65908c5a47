import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { withVariable } from '../config.js'
import type { S3Access } from './open.js'

/** How long a store may stay silent; without, a dead connection would keep a backup for ever. */
const SILENCE_MS = 30_000

/** Its plans for Node 20, a warning in every process: which Node it takes is for our package.json to say. */
const QUIET = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'

/** A client for AWS itself, or for what speaks its language at `endpoint`. */
export function s3Client({ endpoint, region, accessKey, secretKey, sessionToken }: S3Access): S3Client {
  const options: S3ClientConfig = {
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
  }
  return withVariable(QUIET, 'true', () => new S3Client(options))
}
