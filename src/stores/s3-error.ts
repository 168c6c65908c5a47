import { S3ServiceException } from '@aws-sdk/client-s3'
import { SaasctlError } from '../errors.js'
import { missing } from './file-error.js'

const NETWORK = /^(E[A-Z_]+|TimeoutError|NetworkingError|UND_ERR_\w+)$/

/** What S3 or the way to it says of an object, as one of our errors; what the content's own stream failed with stays. */
export function s3Error(error: unknown, name: string, url: string): unknown {
  if (error instanceof SaasctlError || !(error instanceof Error) || error.name === 'AbortError') return error
  if (error.name === 'CredentialsProviderError') {
    return new SaasctlError('STORE_REFUSED', `There are no keys for the store ${url}.`, {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.',
      cause: error
    })
  }
  if (error.message === 'Region is missing') {
    return new SaasctlError('STORE_REFUSED', `There is no region for the store ${url}.`, {
      hint: 'Set AWS_REGION, or AWS_ENDPOINT_URL_S3 for a store that is not at AWS.',
      cause: error
    })
  }
  if (error instanceof S3ServiceException) {
    if (error.name === 'NoSuchKey' || error.name === 'NotFound') return missing(name, url, error)
    const status = error.$metadata.httpStatusCode ?? 500
    if (status < 500 && status !== 429) {
      return new SaasctlError('STORE_REFUSED', `The store ${url} refused ${name} (${error.name}).`, {
        hint: 'Look whether the bucket exists, and whether the keys may put, get, list and delete in it.',
        cause: error
      })
    }
    return unreachable(url, error.name, error)
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return NETWORK.test(code) ? unreachable(url, code, error) : error
}

export function unreachable(url: string, reason: string, cause: unknown): SaasctlError {
  return new SaasctlError('STORE_UNREACHABLE', `The store ${url} does not answer (${reason}).`, {
    hint: 'Look whether its host can be reached from here; then try again.',
    retryable: true,
    cause
  })
}
