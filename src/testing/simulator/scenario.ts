import { ManualClock } from '../../adapters/inmemory/clock.ts';
import { SeededRandom } from '../../adapters/inmemory/random.ts';
import { callFaults, platformFaults, type FaultKind, type FaultRates } from './faults.ts';

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
  /** Virtual time in which what is planned between functions happens, in milliseconds. */
  readonly troubledMs: number;
}

/** Of calls: per thousand. */
const MOST_PER_MILLE: Readonly<Record<(typeof callFaults)[number], number>> = {
  'crash-before': 20,
  'crash-during': 20,
  'crash-after': 20,
  'lost-call': 40,
  'lost-answer': 40,
  throttled: 40,
  slow: 20,
  zombie: 20,
  'partial-put': 300,
};

/** Of deliveries and functions: per thousand. Of what is planned: how often. */
const MOST: Readonly<Record<(typeof platformFaults)[number], number>> = {
  'duplicate-delivery': 150,
  'late-delivery': 100,
  'clock-skew': 300,
  reshard: 2,
  overwrite: 2,
  'dedup-flushed': 2,
  'dedup-failover': 2,
  'dedup-away': 2,
  'store-restart': 3,
  deploy: 1,
  'poison-record': 2,
};

/** What a seed stands for. About one in three histories has a given kind of fault; some have all of them, a few have none. */
export function scenarioOf(seed: number, rows: number): Scenario {
  const random = new SeededRandom({ clock: new ManualClock() }, seed);
  const upTo = (most: number) => Math.floor(random.next() * (most + 1));
  const oneOf = <T>(...choices: readonly T[]) => choices[upTo(choices.length - 1)] as T;
  const [all, none] = [random.next() < 0.3, random.next() < 0.04];
  const rates = Object.fromEntries(
    [...Object.entries(MOST_PER_MILLE), ...Object.entries(MOST)].map(([kind, most]) => [
      kind,
      !none && (all || random.next() < 0.35) ? 1 + upTo(most - 1) : 0,
    ]),
  ) as Record<FaultKind, number>;
  return {
    seed,
    rows,
    rates,
    maxFaults: oneOf(50, 200, 500),
    sectionBytes: oneOf(4_000, 16_000, 64_000),
    maxFrameMessages: oneOf(20, 100, 500),
    partitions: oneOf(1, 3, 8),
    shards: oneOf(1, 2, 4),
    concurrency: oneOf(1, 2, 5),
    batchRecords: oneOf(1, 5, 30),
    troubledMs: oneOf(10_000, 60_000, 600_000),
  };
}
