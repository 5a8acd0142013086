/** `npm run bench`: ours and its peers, in turn, in the same run. What it measures, and what came out, is told in docs/performance.md. */
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { MakeCase, Scale } from './harness/contender.ts';
import { measureCase } from './harness/measure.ts';
import { installPeers } from './harness/peers.ts';
import { renderReport, reportOf, type CaseReport } from './harness/report.ts';

const USAGE = `npm run bench -- [options]

  --quick        small data and one round: under 3 minutes on 2 cores
  --only <part>  cases whose name has this part; may be given several times
  --rounds <n>   measurements of each contender, in turn (default 5, with --quick 1)
  --json <file>  what was measured, as JSON
  --list         the names of the cases
  --help

Cases: ${caseNames().join(', ')}
Data is made once from a seed, and kept in bench/.data. Peers are installed into bench/peers/node_modules when they are missing.
`;

function caseNames(): string[] {
  return readdirSync(path.join(import.meta.dirname, 'cases'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3))
    .sort();
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    json: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

async function bench(signal: AbortSignal): Promise<void> {
  const { quick, only, json } = values;
  const rounds = Number(values.rounds ?? (quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds ${values.rounds} is no whole number from 1`);
  const names = caseNames().filter((name) => only?.some((part) => name.includes(part)) ?? true);
  if (names.length === 0) throw new Error(`no case is named so: there are ${caseNames().join(', ')}`);
  const scale: Scale = quick
    ? { quick, rows: 262_144, slowRows: 20_000 }
    : { quick, rows: 1_400_000, slowRows: 200_000 };
  installPeers(progress);
  const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  process.stdout.write(`${machine}, ${rounds} rounds, ${scale.rows.toLocaleString('en')} rows\n\n`);
  const reports: CaseReport[] = [];
  for (const name of names) {
    progress(`${name}: data`);
    const { default: makeCase } = (await import(`./cases/${name}.ts`)) as { default: MakeCase };
    const made = await makeCase(scale);
    const report = reportOf(
      name,
      made,
      await measureCase(made, rounds, signal, (text) => progress(`${name}: ${text}`)),
    );
    process.stdout.write(`${renderReport(report)}\n`);
    reports.push(report);
  }
  if (json !== undefined)
    await writeFile(
      json,
      `${JSON.stringify({ at: new Date().toISOString(), machine, rounds, scale, reports }, null, 2)}\n`,
    );
}

if (values.help) process.stdout.write(USAGE);
else if (values.list) process.stdout.write(`${caseNames().join('\n')}\n`);
else {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(signal));
  try {
    await bench(stop.signal);
  } catch (thrown) {
    process.stderr.write(`${stop.signal.aborted ? 'stopped' : (thrown as Error).message}\n`);
    process.exitCode = stop.signal.aborted ? 130 : 1;
  }
}
