/** Run by itself: tries inputs, and says what it finds. Whatever happens to this process happens to nobody else. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { resourceUsage } from 'node:process';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { mutatedInputs } from './mutations.ts';
import { noTotals, type Assignment, type Report, type Totals } from './reports.ts';
import { shrunk } from './shrink.ts';
import { targets } from './targets.ts';
import type { OpenTarget, Target, Verdict } from './target.ts';

/** Inputs that are drawn at once: between two draws rejections show, and memory is looked at. */
const BATCH = 100;
/** A batch that takes longer says so in between, in milliseconds. */
const SAY_MS = 500;
/** What resident memory may grow by over what a target's corpus needs; zstd may ask for a window of 128 MiB. In bytes. */
const MAX_GROWTH = 400 * 1024 * 1024;
/** Findings of one target that are told apart; more of them tell nothing more. */
const MAX_FINDINGS = 10;
const SHRINK = { tries: 3_000, ms: 15_000 };

const assignment = JSON.parse(process.argv[2] ?? '') as Assignment;
const rejections: unknown[] = [];
let saidAt = 0;
process.on('unhandledRejection', (reason) => rejections.push(reason));
const inputFile = openSync(assignment.inputFile, 'w');
for (const { name, inputs } of assignment.targets) {
  const target = targets.find((each) => each.name === name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  await tryTarget(target, inputs);
}
closeSync(inputFile);

async function tryTarget(target: Target, inputs: number): Promise<void> {
  const open = await target.open();
  for (const sound of open.corpus) await rejectionsOf(async () => void (await open.check(sound)));
  say({ kind: 'opened', target: target.name });
  const drawn = mutatedInputs(target, open);
  const begunAt = performance.now();
  const before = residentPeak();
  const known = new Set<string>();
  const totals: { -readonly [K in keyof Totals]: Totals[K] } = { ...noTotals };
  const isOver = () =>
    totals.inputs >= inputs ||
    known.size >= MAX_FINDINGS ||
    (assignment.targetMs !== null && totals.ms >= assignment.targetMs);
  for (let batch = 0; !isOver(); batch++) {
    const seed = seedOf(`${assignment.seed}/${target.name}/${batch}`);
    const candidates = fc.sample(drawn, { seed, numRuns: Math.min(BATCH, inputs - totals.inputs) });
    for (const input of candidates) {
      note(input);
      const result = await resultOf(open, input);
      totals.inputs++;
      totals.ms = performance.now() - begunAt;
      if (typeof result === 'string') totals[result]++;
      else await tell(target, open, input, result, known);
      sayNow(target, totals);
    }
    const { heapUsed, external } = process.memoryUsage();
    totals.peakHeap = Math.max(totals.peakHeap, heapUsed + external);
    if ((await rejectionsOf(async () => undefined)).length > 0)
      await findRejections(target, open, candidates, known);
    const growth = residentPeak() - before;
    if (growth > MAX_GROWTH) throw new Error(`the process has grown by ${Math.round(growth / 1e6)} MB`);
  }
  say({ kind: 'done', target: target.name, totals });
}

async function resultOf(open: OpenTarget, input: Uint8Array): Promise<Verdict | Error> {
  try {
    return await open.check(input);
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(`thrown: ${String(thrown)}`);
  }
}

async function tell(
  target: Target,
  open: OpenTarget,
  input: Uint8Array,
  error: Error,
  known: Set<string>,
): Promise<void> {
  const kind = kindOf(error);
  if (known.has(kind)) return;
  known.add(kind);
  const smallest = await shrunk(
    input,
    async (smaller) => {
      const result = await resultOf(open, smaller);
      // Shrinking takes a while; the input that is tried is known to come to an end.
      sayNow(target, noTotals);
      return typeof result !== 'string' && kindOf(result) === kind;
    },
    SHRINK,
  );
  const last = await resultOf(open, smallest);
  const shown = typeof last === 'string' ? error : last;
  report(target, smallest, shown);
}

function report(target: Target, input: Uint8Array, error: Error): void {
  say({
    kind: 'finding',
    target: target.name,
    problem: `${error.name}: ${error.message}`,
    stack: error.stack ?? '',
    input: Buffer.from(input).toString('base64'),
  });
}

/** Which of a batch left a rejection behind that nobody awaits. */
async function findRejections(
  target: Target,
  open: OpenTarget,
  candidates: readonly Uint8Array[],
  known: Set<string>,
): Promise<void> {
  for (const input of candidates) {
    const [reason] = await rejectionsOf(async () => void (await resultOf(open, input)));
    if (reason === undefined) continue;
    const error = new Error(`nobody awaited: ${inspect(reason)}`, { cause: reason });
    if (!known.has(kindOf(error))) report(target, input, error);
    known.add(kindOf(error));
  }
}

/** Rejections show once the microtasks that are due have run. */
async function rejectionsOf(work: () => Promise<void>): Promise<readonly unknown[]> {
  await work();
  await new Promise((resolve) => void setImmediate(resolve));
  return rejections.splice(0);
}

/** The same fault with other values is the same fault. */
function kindOf({ name, message, stack = '' }: Error): string {
  const place = /at .*\(?((?:src|test)\/[^:)]+:\d+)/.exec(stack)?.[1] ?? '';
  return `${name} ${(message.split(':')[0] as string).slice(0, 60).replaceAll(/\d+/g, '0')} ${place}`;
}

function residentPeak(): number {
  return resourceUsage().maxRSS * 1024;
}

function note(input: Uint8Array): void {
  const bytes = Buffer.alloc(4 + input.length);
  bytes.writeUInt32LE(input.length);
  bytes.set(input, 4);
  writeSync(inputFile, bytes, 0, bytes.length, 0);
}

function say(what: Report): void {
  saidAt = performance.now();
  writeSync(1, `${JSON.stringify(what)}\n`);
}

/** What is only to show that nothing hangs. */
function sayNow(target: Target, totals: Totals): void {
  if (performance.now() - saidAt > SAY_MS) say({ kind: 'progress', target: target.name, totals });
}

/** FNV-1a. */
function seedOf(text: string): number {
  let hash = 0x811c_9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return hash;
}
