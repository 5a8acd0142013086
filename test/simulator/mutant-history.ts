import { scenarioOf } from '../../src/testing/simulator/scenario.ts';
import { play } from './history-of-seed.ts';

// Plays histories until one goes wrong, or there are no more; says on stdout, as JSON, which one it was.

// Faults are thrown by the thousand, and nobody reads where from.
Error.stackTraceLimit = 0;

const [first = 1, step = 1, seeds = 1, rows = 1, known] = process.argv.slice(2).map(Number);
const others = Array.from({ length: seeds }, (_, played) => first + played * step);
let caught: { readonly seed: number; readonly wrong: readonly string[] } | null = null;
for (const seed of known === undefined ? others : [known, ...others]) {
  const { wrong } = await play(scenarioOf(seed, rows));
  if (wrong.length === 0) continue;
  caught = { seed, wrong: wrong.slice(0, 5) };
  break;
}
process.stdout.write(JSON.stringify(caught));
