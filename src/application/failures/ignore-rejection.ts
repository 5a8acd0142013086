import { types } from 'node:util';

/**
 * A pipeline's function gave a promise where none may be. It is refused; if it is rejected later, that must not end the
 * process.
 *
 * @returns whether it was a promise
 */
export function ignoreRejection(value: unknown): value is Promise<unknown> {
  if (!types.isPromise(value)) return false;
  // Not by its own method: that could be anything.
  void Promise.prototype.then.call(value, undefined, () => {});
  return true;
}
