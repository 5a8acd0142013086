import { isSluiceError } from '../../src/domain/errors.ts';

/** The code that a call throws; `undefined` where it throws nothing. What is no error of ours is thrown on. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (thrown) {
    if (isSluiceError(thrown)) return thrown.code;
    throw thrown;
  }
}

/** The code that a promise rejects with; `undefined` where it resolves. */
export async function codeOfAsync(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (thrown) {
    if (isSluiceError(thrown)) return thrown.code;
    throw thrown;
  }
}

/** Lists and objects in each other, so many levels of them. */
export function nested(levels: number): unknown {
  let data: unknown = 1;
  for (let level = 0; level < levels; level++) data = level % 2 === 0 ? [data] : { $x: data };
  return data;
}
