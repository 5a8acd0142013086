import type { ErrorCode } from '../../domain/error-codes.ts';
import { InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';

/** Of requests, and of the entries of a batch: too much at once, later it is taken. */
const THROTTLING = new Set([
  'BandwidthLimitExceeded',
  'KMS.ThrottlingException',
  'KMSThrottlingException',
  'KmsThrottled',
  'LimitExceededException',
  'OverLimit',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'Throttled',
  'ThrottledException',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
]);

/** Faults of the service, and requests that did not get through whole. */
const TRANSIENT = new Set([
  'IncompleteBody',
  'InternalError',
  'InternalFailure',
  'InternalServerError',
  'OperationAborted',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  'TimeoutError',
]);

/** Connections that were refused, broken or never answered, and names that were not resolved just now. */
const NETWORK = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
]);

const DENIED = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AuthorizationError',
  'AuthorizationErrorException',
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'KMSAccessDeniedException',
  'KmsAccessDenied',
  'MissingAuthenticationToken',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]);

const MISSING = new Set([
  'AWS.SimpleQueueService.NonExistentQueue',
  'NoSuchBucket',
  'NotFoundException',
  'QueueDoesNotExist',
  'ResourceNotFoundException',
]);

/** How deep causes are looked into: the reset of a connection lies under what a body's reader throws. */
const MAX_CAUSES = 5;

/** Whether a code of a request, or of an entry of a batch, says "too much at once". */
export function isThrottlingCode(code: string | undefined): boolean {
  return code !== undefined && THROTTLING.has(code);
}

/** Whether a code of an entry of a batch says that the same entry can be taken later. */
export function isRetryableCode(code: string | undefined): boolean {
  return code !== undefined && (THROTTLING.has(code) || TRANSIENT.has(code));
}

/** The status of the answer that an SDK's error stands for; `undefined` where there was none. */
export function statusOf(error: unknown): number | undefined {
  const status = fieldOf(fieldOf(error, '$metadata'), 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}

/** The service's own name of an error (`NoSuchKey`); `undefined` where it is none of a service. */
export function nameOf(error: unknown): string | undefined {
  const name = fieldOf(error, 'name');
  return typeof name === 'string' ? name : undefined;
}

/** Whether the same call can succeed later: throttling, faults of the service, broken connections, timeouts. */
export function isRetryable(error: unknown, depth = 0): boolean {
  if (isSluiceError(error)) return error.retryable;
  const name = nameOf(error);
  if (name === 'AbortError') return false;
  const status = statusOf(error);
  return (
    isRetryableCode(name) ||
    fieldOf(error, '$retryable') !== undefined ||
    // The SDK has set its clock by the answer's; the next signature is right.
    fieldOf(fieldOf(error, '$metadata'), 'clockSkewCorrected') === true ||
    status === 408 ||
    status === 429 ||
    (status !== undefined && status >= 500 && status !== 501) ||
    NETWORK.has(String(fieldOf(error, 'code'))) ||
    (depth < MAX_CAUSES && error instanceof Error && error.cause !== undefined
      ? isRetryable(error.cause, depth + 1)
      : false)
  );
}

/**
 * Our words for what an SDK threw; an error of ours is given back as it is.
 *
 * @param what what was tried, as a clause: `s3://lake/a.csv cannot be read`
 * @returns `E_THROTTLED`, `E_ACCESS_DENIED`, `E_RESOURCE_MISSING`, else `E_INFRASTRUCTURE` (retryable where the same call can
 *   succeed later); the SDK's error as cause
 */
export function toSluiceError(error: unknown, what: string): Error {
  if (isSluiceError(error)) return error;
  const name = nameOf(error);
  // The SDK hangs the whole exchange on its errors, credentials in its headers and all: neither to be kept nor to be logged.
  if (typeof error === 'object' && error !== null) Reflect.deleteProperty(error, '$response');
  const detail = [name === 'Error' ? undefined : name, messageOf(error)].filter(Boolean).join(': ');
  return new InfrastructureError(`${what}: ${detail}`, {
    code: codeOf(error, name),
    retryable: isRetryable(error),
    cause: error,
  });
}

/**
 * Calls an SDK, and gives what it throws our words (`toSluiceError`).
 *
 * @throws the signal's reason where it is aborted, before or meanwhile
 */
export async function explained<T>(what: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  try {
    return await call();
  } catch (error) {
    signal.throwIfAborted();
    throw toSluiceError(error, what);
  }
}

function codeOf(error: unknown, name: string | undefined): ErrorCode {
  if (isThrottlingCode(name) || statusOf(error) === 429) return 'E_THROTTLED';
  if (isRetryable(error)) return 'E_INFRASTRUCTURE';
  if ((name !== undefined && DENIED.has(name)) || statusOf(error) === 401 || statusOf(error) === 403)
    return 'E_ACCESS_DENIED';
  if (name !== undefined && MISSING.has(name)) return 'E_RESOURCE_MISSING';
  return 'E_INFRASTRUCTURE';
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined;
}
