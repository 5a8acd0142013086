import type { ProcessFunction } from '../../../src/testing/lambda/index.ts';

export interface Kills {
  readonly everyMs: number;
  readonly atMost: number;
}

/** Kills functions in turn while they work. */
export function killNowAndThen(victims: readonly ProcessFunction[], { everyMs, atMost }: Kills) {
  let killed = 0;
  const timer = setInterval(() => {
    if (killed >= atMost) return;
    void victims[killed % victims.length]?.kill().then((hit) => (killed += hit ? 1 : 0));
  }, everyMs);
  return {
    /** @returns how many there were */
    stop: (): number => {
      clearInterval(timer);
      return killed;
    },
  };
}
