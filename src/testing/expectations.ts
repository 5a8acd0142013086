import { expect } from 'vitest';
import { isSluiceError } from '../domain/errors.ts';
import { thrownBy } from './harness.ts';

/** The call throws a `DomainError` with this code. */
export async function expectDomainError(call: () => Promise<unknown>, code: string): Promise<void> {
  const error = await thrownBy(call);
  expect(isSluiceError(error) ? { kind: error.kind, code: error.code } : error).toEqual({
    kind: 'domain',
    code,
  });
}

/** The call throws an `InfrastructureError` that no retry helps. */
export async function expectDefect(call: () => Promise<unknown>): Promise<void> {
  const error = await thrownBy(call);
  expect(
    isSluiceError(error) ? { kind: error.kind, code: error.code, retryable: error.retryable } : error,
  ).toEqual({
    kind: 'infrastructure',
    code: 'E_INTERNAL',
    retryable: false,
  });
}

/** The call rejects with the reason of a signal that was aborted before it. */
export async function expectAborted(call: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const reason = new Error('stopped by the contract');
  expect(await thrownBy(() => call(AbortSignal.abort(reason)))).toBe(reason);
}
