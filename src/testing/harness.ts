/** Signal of a call that nobody stops. */
export const unstopped: AbortSignal = new AbortController().signal;

/** What every harness of a contract can do. */
export interface ContractHarness {
  /** Releases everything that this instance holds. */
  dispose(): Promise<void>;
}

/** Runs a test with an instance of its own and disposes of it, whatever happens. */
export async function withHarness<H extends ContractHarness>(
  make: () => Promise<H>,
  test: (harness: H) => Promise<void>,
): Promise<void> {
  const harness = await make();
  try {
    await test(harness);
  } finally {
    await harness.dispose();
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** What a call threw; fails where it threw nothing. */
export async function thrownBy(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('The call should have thrown, and did not');
}
