import type { Measures } from '../../domain/measure.ts';
import type { AnyPipeline, Pipeline } from '../../domain/pipeline.ts';
import { describeOutcome } from './describe-outcome.ts';
import { scenarioOf, type Scenario } from './scenario.ts';
import { shrink } from './shrink.ts';
import { simulate } from './simulate.ts';
import type { Subject } from './subject.ts';

export interface ExactlyOnceOptions {
  /** Histories that are tried. Default 200. */
  readonly seeds?: number;
  /** The first of them: a failing one is tried again by its number. Default 1. */
  readonly seed?: number;
  /** How long a smaller history that fails, too, is looked for, in milliseconds. Default 10,000. */
  readonly shrinkMs?: number;
}

/** Objects that the rows are spread over. */
const OBJECTS = 3;

/**
 * Runs a pipeline over rows through many histories in which everything goes wrong that does in a cloud (crashes at any call, lost
 * answers, duplicates, throttling, deployments, …), and holds the results against what a plain loop over the rows gives. All in memory and on
 * a virtual clock; a seed gives the same history again.
 *
 * ```ts
 * it('counts every flight once', () => expectExactlyOnce(pipeline, flights, { seeds: 200 }));
 * ```
 *
 * The rows travel as JSON Lines, whatever format the pipeline declares. Rows that `transform` rejects, and messages that fail in
 * `analyze`, are expected to be open failures. Sections and frames are made small, so that few rows are many of them.
 *
 * @throws Error with the seed, what is wrong, and a short history
 */
export async function expectExactlyOnce<M, A extends Measures>(
  pipeline: Pipeline<M, A>,
  rows: readonly object[],
  { seeds = 200, seed: first = 1, shrinkMs = 10_000 }: ExactlyOnceOptions = {},
): Promise<void> {
  const run = (scenario: Scenario) => simulate(scenario, subjectOf(pipeline, rows.slice(0, scenario.rows)));
  const fails = async (scenario: Scenario) => (await run(scenario)).wrong.length > 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const scenario = scenarioOf(seed, rows.length);
    if (!(await fails(scenario))) continue;
    const smallest = await shrink(scenario, fails, shrinkMs);
    throw new Error(describeOutcome(smallest, await run(smallest)));
  }
}

function subjectOf(pipeline: AnyPipeline, rows: readonly object[]): Subject {
  const { format: _format, compression: _compression, ...source } = pipeline.source;
  const share = Math.max(1, Math.ceil(rows.length / OBJECTS));
  const objects = Array.from({ length: Math.ceil(rows.length / share) }, (_, index) => ({
    key: `part-${index}.jsonl`,
    content: rows
      .slice(index * share, (index + 1) * share)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(''),
  }));
  const code = { ...pipeline, source };
  return { objects, messages: [], versions: [{ pipeline: code, deployed: code, mended: null }] };
}
