import type { Deployment } from '../../../src/entrypoints/cli/estimate/deployment.ts';
import {
  MOST_MAXIMUM_CONCURRENCY,
  NEW_ENVIRONMENTS_PER_SECOND,
  provisionedPollers,
  queuePollers,
  shard,
} from '../../../src/entrypoints/cli/estimate/limits-of-aws.ts';

export interface SimulatedBurst {
  readonly deployment: Deployment;
  readonly accountConcurrency: number;
  readonly tasks: number;
  readonly secondsPerTask: number;
  readonly partitions: number;
  readonly shards: number;
  /** Of one task. */
  readonly frames: number;
  readonly bytesPerFrame: number;
  /** Of one frame: in a lane of analyze, and in the database with all that it may have. */
  readonly analyzeSeconds: number;
  readonly databaseSeconds: number;
}

export interface Simulated {
  /** When the last frame was applied, in seconds of the virtual clock. */
  readonly seconds: number;
  readonly mostFunctions: number;
  /** When there were so many functions for the first time; `null`: never. */
  secondsUntil(functions: number): number | null;
}

/** Pollers come by steps, and no task is like another. */
const STEP_SECONDS = 6;
const JITTER = 0.3;

interface Event {
  readonly at: number;
  readonly what: 'step' | 'transformed' | 'free';
}

/**
 * A burst on a virtual clock, event by event: pollers that come by steps, environments that come at Lambda's rate, functions that transform a task and then wait until the shards have taken its
 * frames, lanes that apply the frames of their partitions one after the other, and one database behind them. It knows nothing of the formulae in `burst.ts`.
 */
export function simulateBurst(burst: SimulatedBurst): Simulated {
  const { deployment, tasks, partitions, shards, frames, bytesPerFrame } = burst;
  const { transformPollers: pollers } = deployment;
  const [start, perMinute, most] =
    pollers === null
      ? [
          queuePollers.start,
          queuePollers.perMinute,
          Math.min(deployment.transformConcurrency, MOST_MAXIMUM_CONCURRENCY, queuePollers.most),
        ]
      : [
          pollers.minimum * provisionedPollers.invocationsEach,
          provisionedPollers.perMinute,
          pollers.maximum * provisionedPollers.invocationsEach,
        ];
  const cap = Math.min(most, burst.accountConcurrency);
  const events = new Heap();
  const random = generator(2026);
  const shardFree = new Float64Array(shards);
  const laneFree = new Float64Array(shards * deployment.parallelizationFactor);
  let databaseFree = 0;
  let lastApplied = 0;
  let waiting = tasks;
  let allowed = Math.min(start, cap);
  let environments = 0;
  let busy = 0;
  let nextPartition = 0;
  const reached: { at: number; functions: number }[] = [];

  const begin = (now: number) => {
    const startable = Math.min(allowed, environments + NEW_ENVIRONMENTS_PER_SECOND * STEP_SECONDS);
    while (waiting > 0 && busy < startable) {
      waiting--;
      busy++;
      const seconds = burst.secondsPerTask * (1 + JITTER * (2 * random() - 1));
      events.push({ at: now + seconds, what: 'transformed' });
    }
    environments = Math.max(environments, busy);
    if (busy > (reached.at(-1)?.functions ?? 0)) reached.push({ at: now, functions: busy });
  };

  const putAndApply = (now: number): number => {
    let taken = now;
    for (let frame = 0; frame < frames; frame++) {
      const partition = nextPartition++ % partitions;
      const at = partition % shards;
      const free = Math.max(now, shardFree[at] as number) + bytesPerFrame / shard.bytesPerSecond;
      shardFree[at] = free;
      taken = Math.max(taken, free);
      const lane =
        at * deployment.parallelizationFactor +
        (Math.floor(partition / shards) % deployment.parallelizationFactor);
      databaseFree = Math.max(databaseFree, free) + burst.databaseSeconds;
      const applied = Math.max(databaseFree, Math.max(free, laneFree[lane] as number) + burst.analyzeSeconds);
      laneFree[lane] = Math.max(free, laneFree[lane] as number) + burst.analyzeSeconds;
      lastApplied = Math.max(lastApplied, applied);
    }
    return taken;
  };

  begin(0);
  events.push({ at: STEP_SECONDS, what: 'step' });
  for (let event = events.pop(); event !== undefined; event = events.pop()) {
    if (event.what === 'step') {
      allowed = Math.min(cap, allowed + (perMinute / 60) * STEP_SECONDS);
      if (waiting > 0) events.push({ at: event.at + STEP_SECONDS, what: 'step' });
    } else if (event.what === 'transformed') events.push({ at: putAndApply(event.at), what: 'free' });
    else {
      busy--;
      lastApplied = Math.max(lastApplied, event.at);
    }
    begin(event.at);
  }
  return {
    seconds: lastApplied,
    mostFunctions: reached.at(-1)?.functions ?? 0,
    secondsUntil: (functions) => reached.find((each) => each.functions >= functions)?.at ?? null,
  };
}

/** Events by their time. */
class Heap {
  readonly #items: Event[] = [];

  push(event: Event): void {
    const items = this.#items;
    let at = items.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((items[parent] as Event).at <= event.at) break;
      items[at] = items[parent] as Event;
      at = parent;
    }
    items[at] = event;
  }

  pop(): Event | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] as Event).at < (items[child] as Event).at) child++;
      if ((items[child] as Event).at >= last.at) break;
      items[at] = items[child] as Event;
      at = child;
    }
    items[at] = last;
    return first;
  }
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
