import type { LoadedPipeline } from '../load-pipeline.ts';
import type { RunOutcome } from '../execute-run.ts';
import type { ReportPageData } from '../run-report.ts';
import type { Runtime } from '../runtime.ts';
import { sluiceVersion } from '../sluice-version.ts';
import { topGroups } from '../top-groups.ts';
import { readResults } from '../../../application/results/read-results.ts';
import { declaredMeasures } from '../../../domain/generation.ts';
import type { Finding } from '../../../domain/pipeline.ts';
import { describePosition } from '../../../domain/position.ts';
import { renderReportPage } from './page.ts';

/** A page with more groups would be slow to open; `sluice results` has them all. */
const MAX_GROUPS = 1_000;

/** Gathers what the page of a run shows. */
export async function writeReportPage(
  { pipeline, build }: LoadedPipeline,
  { report, startedAt, samples, balance, generation }: RunOutcome,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<string> {
  const { measures, groups } = await topGroups(
    generation,
    pipeline,
    { top: MAX_GROUPS },
    runtime.store,
    signal,
  );
  return renderReportPage({
    report,
    startedAt,
    build,
    sluiceVersion: sluiceVersion(),
    samples,
    measures,
    groups,
    findingsByKind: await findingsByKind(
      generation.id,
      pipeline,
      declaredMeasures(generation),
      runtime,
      signal,
    ),
    failures: await failuresByCode(generation.id, runtime, signal),
    balance,
  });
}

async function findingsByKind(
  generation: string,
  pipeline: LoadedPipeline['pipeline'],
  measures: ReturnType<typeof declaredMeasures>,
  { store }: Runtime,
  signal: AbortSignal,
): Promise<ReportPageData['findingsByKind']> {
  const kinds = new Map<string, { kind: string; severity: string; count: number }>();
  const add = ({ kind, severity = 'info' }: Finding) => {
    const known = kinds.get(`${severity} ${kind}`);
    if (known === undefined) kinds.set(`${severity} ${kind}`, { kind, severity, count: 1 });
    else known.count++;
  };
  for await (const { findings } of readResults(store, generation, pipeline, measures, signal))
    findings.forEach(add);
  for await (const { finding } of store.flags(generation, signal)) add(finding);
  return [...kinds.values()].sort((a, b) => b.count - a.count);
}

async function failuresByCode(
  generation: string,
  { store }: Runtime,
  signal: AbortSignal,
): Promise<ReportPageData['failures']> {
  const codes = new Map<
    string,
    { code: string; stage: string; count: number; example: { position: string; message: string } }
  >();
  for await (const { failure } of store.failures({ generation, state: 'open' }, signal)) {
    const { code, stage, position, message } = failure;
    const known = codes.get(`${stage} ${code}`);
    if (known !== undefined) known.count++;
    else
      codes.set(`${stage} ${code}`, {
        code,
        stage,
        count: 1,
        example: { position: describePosition(position), message },
      });
  }
  return [...codes.values()].sort((a, b) => b.count - a.count);
}
