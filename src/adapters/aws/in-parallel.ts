/**
 * Works on items, a bounded number at once, in their order. After the first failure nothing is begun, what is under way is
 * stopped and awaited, and that failure is thrown.
 *
 * @param limit items under way at once
 */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  const siblings = new AbortController();
  const stop = AbortSignal.any([signal, siblings.signal]);
  let failed: { readonly reason: unknown } | undefined;
  let next = 0;
  const lane = async () => {
    while (next < items.length && !stop.aborted) {
      try {
        await work(items[next++] as T, stop);
      } catch (reason) {
        failed ??= { reason };
        siblings.abort(reason);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  signal.throwIfAborted();
  if (failed !== undefined) throw failed.reason;
}

/** Works on items as `inParallel` does, and gives what comes of each, in their order. */
export async function mapInParallel<T, Result>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  await inParallel([...items.entries()], limit, signal, async ([at, item], stop) => {
    results[at] = await work(item, stop);
  });
  return results;
}
