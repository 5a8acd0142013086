import type { ProcessFunction } from '../../../src/testing/lambda/index.ts';

/** `stand-still`: until its time runs out. `take-memory`: more than it has; its process has `take-memory.ts` loaded. */
export type Harm = 'kill' | 'stand-still' | 'take-memory';

export interface HarmOptions {
  readonly everyMs: number;
  readonly atMost: number;
  /** In turn. */
  readonly ways: readonly Harm[];
}

/** Does harm to functions in turn while they work. */
export function harmNowAndThen(victims: readonly ProcessFunction[], { everyMs, atMost, ways }: HarmOptions) {
  let done = 0;
  const timer = setInterval(() => {
    const victim = victims[done % victims.length];
    const way = ways[Math.floor(done / victims.length) % ways.length];
    if (done >= atMost || victim === undefined || way === undefined) return;
    void harm(victim, way).then((hit) => (done += hit ? 1 : 0));
  }, everyMs);
  return {
    /** @returns how many there were */
    stop: (): number => {
      clearInterval(timer);
      return done;
    },
  };
}

async function harm(victim: ProcessFunction, way: Harm): Promise<boolean> {
  if (way === 'kill') return victim.kill();
  return victim.signal(way === 'stand-still' ? 'SIGSTOP' : 'SIGUSR2');
}
