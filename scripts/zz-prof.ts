import { scenarioOf } from '../src/testing/simulator/scenario.ts';
import { play } from '../test/simulator/history-of-seed.ts';
const [from, count] = process.argv.slice(2).map(Number) as [number, number]; const seeds = Array.from({ length: count }, (_, i) => from + i); const quiet = count > 40; let rows = 0, faults = 0;
const c0 = process.cpuUsage(); 
for (const seed of seeds) { const c = process.cpuUsage(); const o = await play(scenarioOf(seed, 2000)); const d = process.cpuUsage(c); rows += o.rows; faults += o.faults; const s = scenarioOf(seed, 2000); if (!quiet) console.log(seed, o.rows, o.faults, o.wrong.length, ((d.user + d.system) / 1000).toFixed(0), 'ms', JSON.stringify([s.sectionBytes, s.maxFrameMessages, s.partitions, s.maxFaults])); }
const c = process.cpuUsage(c0); console.log(rows, faults, rows / ((c.user + c.system) / 1e6), 'rows/cpu s', faults / ((c.user + c.system) / 1e6));
