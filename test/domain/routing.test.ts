import { expect, it } from 'vitest';
import { isRedrivenUnasked, MAX_UNASKED_ATTEMPTS } from '../../src/domain/routing.ts';

it('a failure is redriven unasked by another build than failed it, and only so often', () => {
  const failed = { build: 'build-1', attempts: 1 };
  expect(isRedrivenUnasked(failed, 'build-2')).toBe(true);
  expect(isRedrivenUnasked(failed, 'build-1')).toBe(false);
  expect(isRedrivenUnasked({ ...failed, attempts: MAX_UNASKED_ATTEMPTS - 1 }, 'build-2')).toBe(true);
  expect(isRedrivenUnasked({ ...failed, attempts: MAX_UNASKED_ATTEMPTS }, 'build-2')).toBe(false);
});
