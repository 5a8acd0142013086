import { isSluiceError } from '../../src/domain/errors.ts';

/** The code with which a reader refuses; what is no error of the codes that it promises is thrown on. */
export function refusalOf(thrown: unknown, promised: readonly string[]): string {
  if (isSluiceError(thrown) && promised.includes(thrown.code)) return thrown.code;
  throw thrown;
}

export type Outcome<T> =
  { readonly value: T; readonly code?: undefined } | { readonly value?: undefined; readonly code: string };

/** What a reader gives, or the code with which it refuses. */
export async function outcomeOf<T>(
  promised: readonly string[],
  work: () => T | Promise<T>,
): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (thrown) {
    return { code: refusalOf(thrown, promised) };
  }
}
