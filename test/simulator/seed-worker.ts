import { parentPort, workerData } from 'node:worker_threads';
import { scenarioOf } from '../../src/testing/simulator/scenario.ts';
import { play } from './history-of-seed.ts';

/** Which seeds the workers take, each the next one that nobody has taken, until they are told to stop. */
export interface Share {
  readonly first: number;
  /** How many are taken: one 32-bit integer. */
  readonly taken: SharedArrayBuffer;
  /** `null`: until the end of the time. */
  readonly seeds: number | null;
  /** Milliseconds since 1970; `null`: no end. */
  readonly until: number | null;
  readonly rows: number;
}

/** What a worker says of each history. */
export interface Played {
  readonly seed: number;
  readonly rows: number;
  readonly faults: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly failed: boolean;
}

// Faults are thrown by the thousand, and nobody reads where from; a history that fails is played again with it.
Error.stackTraceLimit = 0;

const { first, taken, seeds, until, rows } = workerData as Share;
const counter = new Int32Array(taken);
const isOver = (index: number) =>
  (seeds !== null && index >= seeds) || (until !== null && Date.now() >= until);

for (;;) {
  const index = Atomics.add(counter, 0, 1);
  if (isOver(index)) break;
  const seed = first + index;
  const { wrong, lost, duplicated, faults, rows: read } = await play(scenarioOf(seed, rows));
  const said: Played = { seed, rows: read, faults, lost, duplicated, failed: wrong.length > 0 };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
  parentPort?.postMessage(said);
}
