import { generationOf } from '../../application/generation.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Counts } from '../../domain/ports/result-store.ts';
import { reconcileKeyed, reconcileObject } from '../../domain/reconcile.ts';
import { hexOf, type Expectation, type ExpectedTotals } from './expectation.ts';
import type { Stack } from './stack.ts';
import { unstopped, type World } from './world.ts';

/** What is not as it must be. */
export interface Verdict {
  /** Messages and rows that came to no end. */
  lost: number;
  /** Messages and rows that came to more than one. */
  duplicated: number;
  readonly wrong: string[];
}

/** Whether nothing was lost and nothing counted twice. @param mended whether what failed was redriven by code that fails at nothing */
export async function judge(
  { store }: Pick<World, 'store'>,
  pipeline: AnyPipeline,
  expected: Expectation,
  mended: Expectation | null,
  verdict: Verdict,
): Promise<void> {
  const generation = generationOf(pipeline, undefined).id;
  const final = mended ?? expected;
  const seen = new Set<string>();
  for await (const progress of store.objects({ generation }, unstopped)) {
    const { key } = progress.object;
    seen.add(key);
    const totals = expected.objects.get(key);
    if (totals === undefined) {
      verdict.wrong.push(`${key} is no object of the lake`);
      continue;
    }
    if (!progress.complete) verdict.wrong.push(`${key} is not complete`);
    if (!reconcileObject(progress).balances) verdict.wrong.push(`${key} does not balance`);
    compare(key, progress, totals, final.objects.get(key) as ExpectedTotals, mended !== null, verdict);
  }
  for (const [key, { rows }] of expected.objects) {
    if (seen.has(key)) continue;
    verdict.lost += rows;
    verdict.wrong.push(`${key} was never planned`);
  }

  let rows = 0;
  for (const totals of await store.keyedSources(generation, unstopped)) {
    rows += totals.rows;
    if (!reconcileKeyed(totals).balances) verdict.wrong.push(`messages of ${totals.source} do not balance`);
    compare(totals.source, totals, expected.messages, final.messages, mended !== null, verdict);
  }
  if (rows === 0 && expected.messages.rows > 0) {
    verdict.lost += expected.messages.rows;
    verdict.wrong.push('no message from elsewhere arrived');
  }

  const query = { generation, code: 'E_NOT_DETERMINISTIC' };
  for await (const { failure } of store.failures(query, unstopped)) verdict.wrong.push(failure.message);

  await compareGroups(store, generation, final, verdict);
  const flags: string[] = [];
  for await (const { finding } of store.flags(generation, unstopped)) flags.push(JSON.stringify(finding));
  if (flags.sort().join('\n') !== final.flags.join('\n'))
    verdict.wrong.push(`${flags.length} flags, expected ${final.flags.length}, or others`);
}

function compare(
  name: string,
  counts: Counts,
  expected: ExpectedTotals,
  final: ExpectedTotals,
  redriven: boolean,
  verdict: Verdict,
): void {
  const is = (what: string, actual: number, wanted: number) => {
    if (actual === wanted) return;
    verdict.wrong.push(`${name}: ${what} ${actual}, expected ${wanted}`);
    if (actual < wanted) verdict.lost += wanted - actual;
    else verdict.duplicated += actual - wanted;
  };
  is('rows', counts.rows, expected.rows);
  is('filtered', counts.filtered + counts.pruned, expected.filtered);
  is('failed', counts.failed, expected.failedRows);
  is('transformed', counts.transformed, expected.transformed);
  is('messages', counts.messages, expected.messages);
  is('applied', counts.applied, final.messages - final.failedMessages);
  is('open failures of rows', counts.openFailedRows, final.failedRows);
  is('open failures of messages', counts.openMessageFailures, final.failedMessages);
  if (!redriven) return;
  is('settled rows', counts.closedFailedRows, expected.failedRows - final.failedRows);
  is('settled messages', counts.closedMessageFailures, expected.failedMessages - final.failedMessages);
}

async function compareGroups(
  store: World['store'],
  generation: string,
  { groups: expected }: Expectation,
  { wrong }: Verdict,
): Promise<void> {
  const actual = hexOf(await Array.fromAsync(store.groups(generation, unstopped)));
  for (const [group, state] of expected) {
    const found = actual.get(group);
    if (found === undefined) wrong.push(`group ${JSON.stringify(group)} is missing`);
    else if (found !== state) wrong.push(`group ${JSON.stringify(group)} has other measures`);
  }
  for (const group of actual.keys())
    if (!expected.has(group)) wrong.push(`group ${JSON.stringify(group)} should not be there`);
}

/** What is under way although nothing is left to happen. */
export function judgeQuiet(world: World, stack: Stack, { wrong }: Verdict): void {
  const { waiting, hidden } = stack.queue.size;
  if (waiting + hidden > 0) wrong.push(`${waiting + hidden} tasks are left in the queue`);
  for (const name of world.running) wrong.push(`${name} still runs, and waits for nothing`);
  for (const name of world.hung) wrong.push(`${name} took too long although nothing was wrong`);
  wrong.push(...world.dedup.shared);
  for (const why of stack.broken) wrong.push(`the platform broke: ${String(why)}`);
  for (const frame of stack.stream.disorder) wrong.push(`out of order: ${frame}`);
}
