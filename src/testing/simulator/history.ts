const KEPT = 60;

/** What happened last, for people. */
export class History {
  readonly #lines: string[] = [];
  readonly #now: () => number;
  readonly #start: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#start = now();
  }

  note(text: string): void {
    const seconds = ((this.#now() - this.#start) / 1000).toFixed(3).padStart(9);
    this.#lines.push(`${seconds} s  ${text}`);
    if (this.#lines.length > KEPT) this.#lines.shift();
  }

  get lines(): readonly string[] {
    return this.#lines;
  }
}
