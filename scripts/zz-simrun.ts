import { scenarioOf } from '/work/wt/sim/src/testing/simulator/scenario.ts';
import { simulate } from '/work/wt/sim/src/testing/simulator/simulate.ts';
import { subjectOfSeed } from '/work/wt/sim/test/simulator/subject-of-seed.ts';
const from = Number(process.argv[2] ?? 1), count = Number(process.argv[3] ?? 20), verbose = process.argv[4] === 'v';
let rows = 0, faults = 0, bad = 0; const kinds: Record<string, number> = {};
const t0 = performance.now();
for (let seed = from; seed < from + count; seed++) {
  const o = await simulate(scenarioOf(seed), subjectOfSeed(seed, 1000));
  rows += o.rows; faults += o.faults;
  for (const [k, n] of Object.entries(o.struck)) kinds[k] = (kinds[k] ?? 0) + n;
  if (o.wrong.length > 0) { bad++; console.log('seed', seed, 'lost', o.lost, 'dup', o.duplicated, o.wrong.slice(0, verbose ? 30 : 4)); if (verbose) console.log(o.history.join('\n'), scenarioOf(seed)); }
}
console.log({ seeds: count, bad, rows, faults, seconds: (performance.now() - t0) / 1000 }, kinds);
