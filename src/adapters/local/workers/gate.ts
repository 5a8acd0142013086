/** Lets many through together, or one alone; in the order of coming. */
export class Gate {
  /** Ends when whoever came before is through, alone. */
  #before: Promise<unknown> = Promise.resolve();
  readonly #inside = new Set<Promise<unknown>>();

  async together<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#before;
    const working = before.then(work);
    const through = working.catch(() => undefined);
    this.#inside.add(through);
    try {
      return await working;
    } finally {
      this.#inside.delete(through);
    }
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    const before = Promise.all([this.#before, ...this.#inside]);
    const working = before.then(work);
    this.#before = working.catch(() => undefined);
    return working;
  }
}
