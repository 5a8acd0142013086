import { ManualClock } from '../../adapters/inmemory/clock.ts';
import { SeededRandom } from '../../adapters/inmemory/random.ts';
import type { CallFault, FaultKind, FaultRates, PlatformFault } from './faults.ts';

/** One history, as data: from it everything follows. It can be printed, made smaller, and run again. */
export interface Scenario {
  /** Of every random choice in it. */
  readonly seed: number;
  /** Of the lake, at most about. */
  readonly rows: number;
  readonly rates: FaultRates;
  /** No more faults than this strike. */
  readonly maxFaults: number;
  /** Text in one section, in bytes. */
  readonly sectionBytes: number;
  readonly maxFrameMessages: number;
  readonly partitions: number;
  readonly shards: number;
  readonly concurrency: number;
  readonly batchRecords: number;
  /** Deliveries after which a task that comes back is a dead letter: then only another dispatch does its work. */
  readonly maxReceives: number;
  /** Virtual time in which what is planned between functions happens, in milliseconds. */
  readonly troubledMs: number;
}

/** Of calls: per thousand. */
const MOST_PER_MILLE: Readonly<Record<CallFault, number>> = {
  'crash-before': 30,
  'crash-during': 30,
  'crash-after': 30,
  'lost-call': 100,
  'lost-answer': 100,
  throttled: 100,
  slow: 50,
  zombie: 50,
  'partial-put': 700,
};

/** Of deliveries and functions: per thousand. Of what is planned: how often. */
const MOST: Readonly<Record<PlatformFault, number>> = {
  'duplicate-delivery': 400,
  'late-delivery': 500,
  'lost-task': 400,
  'clock-skew': 900,
  reshard: 4,
  overwrite: 3,
  'dedup-flushed': 4,
  'dedup-failover': 4,
  'dedup-away': 4,
  'store-restart': 5,
  deploy: 3,
  'poison-record': 4,
};

/** How many lakes are large, and which share of all rows they hold: small ones are for many histories, large ones for many rows. */
const LARGE = 0.08;
const LARGE_SHARE = 0.6;

/** What a seed stands for. Two histories in three have a given kind of fault; some have all of them, a few have none. */
export function scenarioOf(seed: number, averageRows: number): Scenario {
  const random = new SeededRandom({ clock: new ManualClock() }, seed);
  const upTo = (most: number) => Math.floor(random.next() * (most + 1));
  const oneOf = <T>(...choices: readonly T[]) => choices[upTo(choices.length - 1)] as T;
  const isLarge = random.next() < LARGE;
  const [all, none] = [random.next() < 0.5, random.next() < 0.04];
  const rates = Object.fromEntries(
    [...Object.entries(MOST_PER_MILLE), ...Object.entries(MOST)].map(([kind, most]) => [
      kind,
      !none && (all || random.next() < 0.65) ? 1 + upTo(most - 1) : 0,
    ]),
  ) as Record<FaultKind, number>;
  return {
    seed,
    rows: Math.max(
      1,
      Math.round(averageRows * (isLarge ? LARGE_SHARE / LARGE : (1 - LARGE_SHARE) / (1 - LARGE))),
    ),
    rates,
    maxFaults: oneOf(100, 300, 1_000),
    sectionBytes: isLarge ? oneOf(64_000, 256_000) : oneOf(4_000, 16_000, 64_000),
    maxFrameMessages: isLarge ? 1_000 : oneOf(20, 100, 500),
    partitions: oneOf(1, 2, 5),
    shards: oneOf(1, 2, 4),
    concurrency: oneOf(1, 2, 5),
    batchRecords: oneOf(2, 10, 50),
    troubledMs: oneOf(20_000, 120_000, 600_000),
    maxReceives: oneOf(1, 2, 4),
  };
}
