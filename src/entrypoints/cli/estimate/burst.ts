import type { Deployment } from './deployment.ts';
import {
  MOST_MAXIMUM_CONCURRENCY,
  NEW_ENVIRONMENTS_PER_SECOND,
  ON_DEMAND_START_SHARDS,
  provisionedPollers,
  queuePollers,
  shard,
} from './limits-of-aws.ts';
import { processors, type Quantities } from './quantities.ts';
import type { Rates } from './rates.ts';
import type { Workload } from './workload.ts';

/** How many functions there may be at once after a time, from the moment at which the queue is full. */
export interface Ramp {
  readonly start: number;
  readonly perSecond: number;
  readonly most: number;
  /** What keeps it at `most`. */
  readonly keptBy: 'pollers' | 'concurrency' | 'account';
}

export function rampOf(deployment: Deployment, accountConcurrency: number): Ramp {
  const { transformPollers: pollers, transformConcurrency } = deployment;
  const byMapping =
    pollers === null
      ? {
          start: queuePollers.start,
          perMinute: queuePollers.perMinute,
          most: Math.min(queuePollers.most, MOST_MAXIMUM_CONCURRENCY, transformConcurrency),
        }
      : {
          start: pollers.minimum * provisionedPollers.invocationsEach,
          perMinute: provisionedPollers.perMinute,
          most: pollers.maximum * provisionedPollers.invocationsEach,
        };
  const most = Math.min(byMapping.most, accountConcurrency);
  return {
    start: Math.min(byMapping.start, most),
    perSecond: Math.min(byMapping.perMinute / 60, NEW_ENVIRONMENTS_PER_SECOND),
    most,
    keptBy: accountConcurrency < byMapping.most ? 'account' : pollers === null ? 'concurrency' : 'pollers',
  };
}

export function functionsAt({ start, perSecond, most }: Ramp, seconds: number): number {
  return seconds < 0 ? 0 : Math.min(most, start + perSecond * seconds);
}

/** `null`: there are never so many. */
export function secondsUntil({ start, perSecond, most }: Ramp, functions: number): number | null {
  return functions > most ? null : Math.max(0, (functions - start) / perSecond);
}

/**
 * Until the last of so many tasks is done, each of which keeps a function busy for so long. A function that is there begins a task whenever it is done with one, so that by
 * a time as many have begun as there were functions then, and one task before then, and so on; the last one begins when these are all.
 */
export function drainSeconds(ramp: Ramp, tasks: number, secondsPerTask: number): number {
  if (tasks <= 0) return 0;
  const begunBy = (seconds: number): number => {
    let begun = 0;
    for (let at = seconds; at >= 0 && begun < tasks; at -= secondsPerTask) begun += functionsAt(ramp, at);
    return begun;
  };
  let after = 0;
  if (begunBy(0) >= tasks) return secondsPerTask;
  let by = secondsPerTask;
  while (begunBy(by) < tasks) {
    after = by;
    by *= 2;
  }
  while (by - after > 1e-3) {
    const middle = (after + by) / 2;
    if (begunBy(middle) < tasks) after = middle;
    else by = middle;
  }
  return by + secondsPerTask;
}

export interface Burst {
  readonly ramp: Ramp;
  readonly functions: number;
  /** `null`: never. */
  readonly secondsToReach: number | null;
  readonly tasks: number;
  readonly secondsPerTask: number;
  /** How long the tasks take if nothing but this bounds them, in seconds. */
  readonly bounds: Readonly<Record<'functions' | 'stream' | 'analyze' | 'database', number>>;
  readonly boundBy: keyof Burst['bounds'];
  readonly seconds: number;
  /** Shards that take what the stream gets. */
  readonly shards: number;
  /** As many as would bound nothing. */
  readonly shardsNeeded: number;
}

/** All tasks of a workload at once: how fast functions come, and what keeps them from being done sooner. */
export function burstOf(
  functions: number,
  {
    workload,
    deployment,
    rates,
    quantities,
    accountConcurrency,
  }: {
    readonly workload: Workload;
    readonly deployment: Deployment;
    readonly rates: Rates;
    readonly quantities: Quantities;
    readonly accountConcurrency: number;
  },
): Burst {
  const ramp = rampOf(deployment, accountConcurrency);
  const { tasks, stream, database, shape } = quantities;
  const rowsPerTask = tasks === 0 ? 0 : workload.rows / tasks;
  const secondsPerTask =
    rowsPerTask / rates.rowsPerSecond / processors(deployment.memoryMiB.transform) +
    rates.taskWaitSeconds +
    rates.coldStartSeconds;
  // A shard without a partition takes nothing.
  const shards = Math.min(deployment.shards ?? ON_DEMAND_START_SHARDS, workload.partitions);
  const ofObjects = workload.objects * (shape.frames + shape.sections);
  const share = stream.records === 0 ? 0 : ofObjects / stream.records;
  const shardSeconds = Math.max(
    (stream.bytes * share) / shard.bytesPerSecond,
    ofObjects / shard.recordsPerSecond,
  );
  const lanes = Math.min(shards * deployment.parallelizationFactor, workload.partitions);
  const messages = workload.rows * workload.messagesPerRow;
  const analyzing =
    (messages * rates.analyzeSecondsPerMessage +
      workload.objects * shape.groupChanges * rates.analyzeSecondsPerGroup) /
    processors(deployment.memoryMiB.analyze);
  const waiting =
    (ofObjects * rates.roundTripsPerFrame * rates.roundTripSeconds) / deployment.databaseConnections;
  const bounds = {
    functions: drainSeconds(ramp, tasks, secondsPerTask),
    stream: shardSeconds / shards,
    analyze: (analyzing + waiting) / lanes,
    database:
      (database.processorSeconds * share) /
      (deployment.database.maximumCapacity * rates.processorsPerCapacityUnit),
  };
  const boundBy = (Object.keys(bounds) as (keyof typeof bounds)[]).reduce((most, each) =>
    bounds[each] > bounds[most] ? each : most,
  );
  return {
    ramp,
    functions,
    secondsToReach: secondsUntil(ramp, functions),
    tasks,
    secondsPerTask,
    bounds,
    boundBy,
    seconds: bounds[boundBy],
    shards,
    shardsNeeded: bounds.functions === 0 ? 0 : Math.ceil(shardSeconds / bounds.functions),
  };
}
