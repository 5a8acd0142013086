import { DomainError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { Measures } from '../../domain/measure.ts';
import type { AnyPipeline, Finding } from '../../domain/pipeline.ts';
import type { PublishedGroup, ResultStore } from '../../domain/ports/result-store.ts';
import { checkFinding } from '../analyze/effects.ts';
import { readMeasures } from '../measures/state.ts';

/** A group's results, and what went wrong when its findings were worked out. */
export interface GroupResults extends PublishedGroup {
  readonly error: DomainError | null;
}

/**
 * The results of a generation, by group: its merged measures, and the findings that the pipeline makes of them.
 *
 * @param declared the measures of the generation, as `declaredMeasures` gives them
 * @param pipeline without one (its file is not at hand) there are measures but no findings
 */
export async function* readResults(
  store: ResultStore,
  generation: string,
  pipeline: AnyPipeline | undefined,
  declared: Measures,
  signal: AbortSignal,
): AsyncGenerator<GroupResults> {
  for await (const { group, state } of store.groups(generation, signal)) {
    const measures = readMeasures(state, declared);
    yield { group, measures, ...findingsOf(pipeline, group, measures) };
  }
}

function findingsOf(
  pipeline: AnyPipeline | undefined,
  group: string,
  measures: Readonly<Record<string, unknown>>,
): { findings: readonly Finding[]; error: DomainError | null } {
  const findings = pipeline?.analyze.findings;
  if (findings === undefined) return { findings: [], error: null };
  try {
    const found: unknown = findings(group, measures);
    const list = Array.isArray(found) ? found : [found];
    return {
      findings: list.map((finding: Finding) => checkFinding(finding)).filter((finding) => finding !== null),
      error: null,
    };
  } catch (thrown) {
    const text = isSluiceError(thrown) ? thrown.message : `findings threw: ${messageOf(thrown)}`;
    return {
      findings: [],
      error: new DomainError(`group ${JSON.stringify(group)}: ${text}`, { code: 'E_FINDING', cause: thrown }),
    };
  }
}
