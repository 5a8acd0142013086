import type { KeyedBatch, KeyedOutcome, MergeStates, RowTotals } from '../../../domain/ports/result-store.ts';
import { openWith } from './failures.ts';
import { eachOf, type LakeFolder } from './folder.ts';
import { effectLines, storedEffects, type StoredEffects } from './lines.ts';
import { digestOf, keyedBatches } from './names.ts';

interface BatchHead {
  readonly source: string;
  readonly run: string;
  readonly build: string;
  readonly at: number;
  readonly keys: readonly string[];
  /** Messages in its groups. */
  readonly applied: number;
  readonly totals: RowTotals;
}

/**
 * Applies a batch of messages from elsewhere, unless this very batch was applied before: one object, named by its keys. There is no
 * object of each key: it would cost a request for every message.
 */
export async function applyKeyed(
  state: LakeFolder,
  batch: KeyedBatch,
  mergeStates: MergeStates,
  signal: AbortSignal,
): Promise<KeyedOutcome> {
  const { source, run, build, at } = batch;
  const keys = batch.keys.map((key) => key.toWellFormed());
  const name = `${keyedBatches}${digestOf(source, ...keys)}.jsonl.gz`;
  const before = keys.map(() => false);
  if ((await state.read(name, signal)) !== undefined) return { isNew: before, ...batch.fold(before) };

  const seen = new Set<string>();
  const isNew = keys.map((key) => seen.size < seen.add(key).size);
  const { effects, totals } = batch.fold(isNew);
  const head: BatchHead = { source, run, build, at, keys, applied: effects.applied, totals };
  const lines = [head, ...effectLines(effects, mergeStates)];
  if (keys.length > 0) {
    await openWith(state, effects.failures, batch, name, signal);
    if (!(await state.create(name, lines, signal))) return { isNew: before, ...batch.fold(before) };
  }
  return { isNew, effects, totals };
}

/** Totals of each batch, and what it adds to the results. */
export async function* readBatches(
  state: LakeFolder,
  signal: AbortSignal,
): AsyncGenerator<{ readonly head: BatchHead; readonly effects: StoredEffects }> {
  for await (const names of state.pages(keyedBatches, signal)) {
    for await (const lines of eachOf(names, signal, (name, stop) => state.read(name, stop))) {
      // Purged meanwhile.
      if (lines === undefined) continue;
      const [head, ...effects] = lines;
      yield { head: head as BatchHead, effects: storedEffects(effects) };
    }
  }
}
