import { describe, expect, it } from 'vitest';
import { explained, isRetryable, toSluiceError } from '../../../src/adapters/aws/errors.ts';
import { DomainError, InfrastructureError } from '../../../src/domain/errors.ts';

/** As the SDK throws what a service says. */
function said(name: string, httpStatusCode?: number): Error {
  return Object.assign(new Error('said so'), { name, $metadata: { httpStatusCode }, $fault: 'client' });
}

/** As Node throws what a connection does. */
function broken(code: string): Error {
  return Object.assign(new Error('broken'), { code });
}

describe('errors of the SDK', () => {
  it.each([
    [said('SlowDown', 503), 'E_THROTTLED', true],
    [said('ThrottlingException', 400), 'E_THROTTLED', true],
    [said('ProvisionedThroughputExceededException', 400), 'E_THROTTLED', true],
    [said('KMSThrottlingException', 400), 'E_THROTTLED', true],
    [said('Whatever', 429), 'E_THROTTLED', true],
    [said('InternalError', 500), 'E_INFRASTRUCTURE', true],
    [said('Whatever', 502), 'E_INFRASTRUCTURE', true],
    [said('NotImplemented', 501), 'E_INFRASTRUCTURE', false],
    [said('RequestTimeout', 400), 'E_INFRASTRUCTURE', true],
    [said('TimeoutError'), 'E_INFRASTRUCTURE', true],
    [said('AccessDenied', 403), 'E_ACCESS_DENIED', false],
    [said('ExpiredTokenException', 400), 'E_ACCESS_DENIED', false],
    [said('CredentialsProviderError'), 'E_ACCESS_DENIED', false],
    [said('403', 403), 'E_ACCESS_DENIED', false],
    [said('NoSuchBucket', 404), 'E_RESOURCE_MISSING', false],
    [said('QueueDoesNotExist', 400), 'E_RESOURCE_MISSING', false],
    [said('ResourceNotFoundException', 400), 'E_RESOURCE_MISSING', false],
    [said('InvalidArgument', 400), 'E_INFRASTRUCTURE', false],
    [broken('ECONNRESET'), 'E_INFRASTRUCTURE', true],
    [broken('ECONNREFUSED'), 'E_INFRASTRUCTURE', true],
    [broken('ERR_STREAM_PREMATURE_CLOSE'), 'E_INFRASTRUCTURE', true],
    [new Error('over', { cause: broken('EPIPE') }), 'E_INFRASTRUCTURE', true],
    [broken('ERR_TLS_CERT_ALTNAME_INVALID'), 'E_INFRASTRUCTURE', false],
    ['a text', 'E_INFRASTRUCTURE', false],
    [undefined, 'E_INFRASTRUCTURE', false],
  ])('%s is %s, retryable: %s', (error, code, retryable) => {
    const told = toSluiceError(error, 'it cannot be done');
    expect(told).toBeInstanceOf(InfrastructureError);
    expect(told).toMatchObject({ code, retryable });
    expect(told.cause).toBe(error);
    expect(told.message).toContain('it cannot be done');
  });

  it('ours go through as they are', () => {
    const ours = new DomainError('no', { code: 'E_OBJECT_NOT_FOUND' });
    expect(toSluiceError(ours, 'it cannot be done')).toBe(ours);
    expect(isRetryable(ours)).toBe(false);
  });

  it('lose the exchange that hangs on them: its headers have credentials', () => {
    const error = Object.assign(said('SlowDown', 503), {
      $response: { headers: { authorization: 'secret' } },
    });
    const told = toSluiceError(error, 'it cannot be done');
    expect(told.cause).toBe(error);
    expect(error).not.toHaveProperty('$response');
  });

  it('do not look for causes for ever', () => {
    const loop = new Error('loop');
    loop.cause = loop;
    expect(isRetryable(loop)).toBe(false);
  });
});

describe('explained', () => {
  it('does not begin for a signal that is aborted already', async () => {
    let begun = false;
    const reason = new Error('stopped');
    const call = explained('x', AbortSignal.abort(reason), async () => {
      begun = true;
    });
    await expect(call).rejects.toBe(reason);
    expect(begun).toBe(false);
  });

  it('rejects with the reason of a signal that is aborted meanwhile, whatever the SDK threw', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const call = explained('x', stop.signal, async () => {
      stop.abort(reason);
      throw said('AbortError');
    });
    await expect(call).rejects.toBe(reason);
  });
});
