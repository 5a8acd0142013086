import type { Clock } from '../../domain/ports/ambient.ts';

/** Lets so many a second go at most, share by share, whoever asks. */
export class Pace {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #freeAt = 0;

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** How many may ask together: those of a second. */
  get share(): number {
    return Math.max(1, Math.floor(this.#perSecond));
  }

  /** When the next ones may go, in milliseconds since 1970. */
  get freeAt(): number {
    return Math.max(this.#freeAt, this.#clock.now());
  }

  /** Resolves when so many may go: those before them have had their time. */
  async take(count: number, signal: AbortSignal): Promise<void> {
    const at = this.freeAt;
    this.#freeAt = at + (count / this.#perSecond) * 1000;
    const waitMs = at - this.#clock.now();
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
  }
}

/** Consecutive items, so many together at most. */
export function* sharesOf<T>(items: readonly T[], share: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += share) yield items.slice(at, at + share);
}
