import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { noTotals, type Assignment, type Report, type Totals } from './reports.ts';

export interface Campaign {
  readonly targets: readonly { readonly name: string; readonly share: number }[];
  /** In all; a target has its share of them. */
  readonly inputs: number;
  /** In all, in milliseconds; `null`: until the inputs are through. */
  readonly ms: number | null;
  readonly seed: number;
  /** Told of each target that is through, and of each finding. */
  readonly onDone?: (target: string, totals: Totals) => void;
  readonly onFinding?: (finding: Finding) => void;
}

export interface Finding {
  readonly target: string;
  readonly problem: string;
  readonly stack: string;
  /** Where the input is kept. */
  readonly file: string;
}

export interface Outcome {
  readonly totals: ReadonlyMap<string, Totals>;
  readonly findings: readonly Finding[];
}

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
/**
 * An input that takes longer hangs: the process that tries it is killed. Inputs take milliseconds; a machine that is busy with other
 * things may take tens of seconds to start a process. In milliseconds.
 */
const HANG_MS = 60_000;
/** Of the process that tries inputs: what takes more is a finding. In MiB. */
const HEAP_MIB = 512;

/** Tries inputs in processes of their own: one that hangs, dies or fills its memory ends its target, and is a finding. */
export async function runCampaign(campaign: Campaign): Promise<Outcome> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-fuzz-'));
  const inputFile = path.join(folder, 'input.bin');
  const shares = campaign.targets.reduce((sum, { share }) => sum + share, 0);
  const totals = new Map<string, Totals>();
  const findings: Finding[] = [];
  const keep = async (target: string, problem: string, stack: string, input: Uint8Array): Promise<void> => {
    const file = path.join(folder, `${target}-${findings.length + 1}.bin`);
    await writeFile(file, input);
    const finding = { target, problem, stack, file };
    findings.push(finding);
    campaign.onFinding?.(finding);
  };
  let left = campaign.targets.map(({ name, share }) => ({
    name,
    inputs: Math.ceil((campaign.inputs * share) / shares),
  }));
  while (left.length > 0) {
    const { seed } = campaign;
    const targetMs = campaign.ms === null ? null : campaign.ms / campaign.targets.length;
    let current: string | undefined;
    const death = await watched({ targets: left, seed, targetMs, inputFile }, async (report) => {
      current = report.target;
      if (report.kind === 'finding')
        await keep(report.target, report.problem, report.stack, Buffer.from(report.input, 'base64'));
      else if (report.kind !== 'opened' && report.totals.inputs > 0) totals.set(report.target, report.totals);
      if (report.kind !== 'done') return;
      left = left.filter(({ name }) => name !== report.target);
      campaign.onDone?.(report.target, report.totals);
      current = undefined;
    });
    if (death === null) continue;
    const target = current ?? (left[0] as { name: string }).name;
    left = left.filter(({ name }) => name !== target);
    await keep(target, death.problem, death.stderr, noted(await readFile(inputFile)));
    campaign.onDone?.(target, totals.get(target) ?? noTotals);
  }
  if (findings.length === 0) await rm(folder, { recursive: true });
  return { totals, findings };
}

interface Death {
  readonly problem: string;
  readonly stderr: string;
}

/** Runs one process to its end. `null`: it did all that it was to do. */
async function watched(
  assignment: Assignment,
  onReport: (report: Report) => Promise<void>,
): Promise<Death | null> {
  const child = spawn(
    process.execPath,
    ['--conditions=sluice-source', `--max-old-space-size=${HEAP_MIB}`, CHILD, JSON.stringify(assignment)],
    { stdio: ['ignore', 'pipe', 'pipe'], env: withoutTestRunner() },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-8_000)));
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  let isHung = false;
  const kill = (): void => {
    isHung = true;
    child.kill('SIGKILL');
  };
  let timer = setTimeout(kill, HANG_MS);
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(timer);
    await onReport(JSON.parse(line) as Report);
    timer = setTimeout(kill, HANG_MS);
  }
  clearTimeout(timer);
  const { code, signal } = await ended;
  if (isHung) return { problem: `an input takes more than ${HANG_MS / 1000} s`, stderr };
  if (code === 0) return null;
  return {
    problem: `the process ended with ${signal ?? `code ${code}`}: ${stderr.split('\n').find((line) => line.includes('rror')) ?? ''}`,
    stderr,
  };
}

/** Coverage and options of the runner that this may be called from are not the children's. */
function withoutTestRunner(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, VITEST: _vitest, ...env } = process.env;
  return env;
}

function noted(file: Buffer): Uint8Array {
  return file.length < 4 ? new Uint8Array(0) : file.subarray(4, 4 + file.readUInt32LE());
}
