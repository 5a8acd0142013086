/**
 * What is made once in a warm container, by the first invocation that needs it. A start that failed is forgotten: whoever comes
 * next tries anew, with a new container of everything.
 */
export class WarmStart<Parts> {
  readonly #start: () => Promise<Parts>;
  #started: Promise<Parts> | undefined;

  constructor(start: () => Promise<Parts>) {
    this.#start = start;
  }

  get(): Promise<Parts> {
    if (this.#started !== undefined) return this.#started;
    const started = this.#start();
    this.#started = started;
    started.catch(() => {
      if (this.#started === started) this.#started = undefined;
    });
    return started;
  }
}
