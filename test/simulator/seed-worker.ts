import { parentPort, workerData } from 'node:worker_threads';
import { scenarioOf } from '../../src/testing/simulator/scenario.ts';
import { play } from './history-of-seed.ts';

/** Which seeds a worker takes: every so many from its first one on, until it is told to stop. */
export interface Share {
  readonly first: number;
  readonly step: number;
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

const { first, step, seeds, until, rows } = workerData as Share;
const isOver = (played: number) =>
  (seeds !== null && played >= seeds) || (until !== null && Date.now() >= until);

for (let played = 0; !isOver(played); played++) {
  const seed = first + played * step;
  const { wrong, lost, duplicated, faults, rows: read } = await play(scenarioOf(seed, rows));
  const said: Played = { seed, rows: read, faults, lost, duplicated, failed: wrong.length > 0 };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
  parentPort?.postMessage(said);
}
