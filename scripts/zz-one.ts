import { scenarioOf } from '../src/testing/simulator/scenario.ts';
import { play } from '../test/simulator/history-of-seed.ts';
const n = Number(process.argv[3] ?? 5);
for (let i = 0; i < n; i++) await play(scenarioOf(Number(process.argv[2]), 2000));
