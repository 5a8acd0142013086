import { RESULTS_FILE } from '../../../src/adapters/local/module.ts';
import { openSqliteResultStore } from '../../../src/adapters/local/sqlite/result-store.ts';
import { mergeStates } from '../../../src/application/measures/state.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { Scratch } from '../../cli/harness.ts';

const never = new AbortController().signal;

/** What a generation comes to, to the byte. */
export interface Outcome {
  /** By group, in base64. */
  readonly states: Readonly<Record<string, string>>;
  readonly flags: readonly unknown[];
}

export async function outcomeOf(store: ResultStore, generation: string): Promise<Outcome> {
  const states: Record<string, string> = {};
  for await (const { group, state } of store.groups(generation, never))
    states[group] = Buffer.from(state).toString('base64');
  const flags = await Array.fromAsync(store.flags(generation, never));
  return { states, flags: flags.map(({ finding }) => finding) };
}

/**
 * What `sluice run` makes of these files on one machine, where nothing goes wrong.
 *
 * @param files by name
 */
export async function localOutcome(
  pipelineFile: string,
  generation: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<Outcome> {
  await using scratch = await Scratch.make();
  for (const [name, content] of Object.entries(files)) await scratch.write(name, content);
  const { code, stderr } = await scratch.run(pipelineFile, ...Object.keys(files));
  // 2: rows failed, as those of a test may be meant to.
  if (code !== 0 && code !== 2) throw new Error(`the run on one machine ended with ${code}: ${stderr}`);
  const store = await openSqliteResultStore(scratch.path('sluice-out', RESULTS_FILE), { mergeStates });
  try {
    return await outcomeOf(store, generation);
  } finally {
    await store.close();
  }
}
