import { defaultLimits } from './limits.ts';
import type { AnyPipeline } from './pipeline.ts';
import { columnNames, columnType } from './columns.ts';
import type { MeasureKind, Measures } from './measure.ts';
import type { Where } from './where.ts';

/** A pipeline's name and version with its declared data: what results, progress and failures belong to. */
export interface Generation {
  /** `lane-performance@1`; an ad-hoc predicate adds `?` and a digest of it. */
  readonly id: string;
  readonly pipeline: string;
  readonly version: number;
  /** Digest of `declared`. */
  readonly fingerprint: string;
  /** The declared data as canonical JSON: keys sorted, functions left out. */
  readonly declared: string;
}

/**
 * Everything that is declared as data. Function bodies are not in it: they are the build's business.
 *
 * @param where the ad-hoc predicate of this run, if there is one
 */
export function declaredData(pipeline: AnyPipeline, where: Where | undefined): string {
  const { source } = pipeline;
  const columns = source.columns;
  const { keyHorizonMs, ...limits } = pipeline.limits;
  return canonicalJson({
    partitions: pipeline.partitions,
    partitioned: pipeline.partitionBy !== undefined,
    hash: 'murmur3-32',
    frames: pipeline.frames,
    // The default is left out, because generations that are older than this limit do not have it.
    limits: keyHorizonMs === defaultLimits.keyHorizonMs ? limits : pipeline.limits,
    source: {
      format: source.format,
      compression: source.compression,
      csv: source.csv,
      columns:
        columns === undefined
          ? undefined
          : columnNames(columns).map((name) => [name, columnType(columns, name)]),
      where: source.where,
      schema: source.schema?.['~standard'].vendor,
      keyed: source.id !== undefined,
      timed: source.time === undefined ? undefined : true,
    },
    adHoc: where,
    measures: Object.entries(pipeline.analyze.measures as Measures).map(([name, { kind, parameters }]) => [
      name,
      kind,
      parameters,
    ]),
  });
}

/** The measures of a generation, read back from what was declared: kinds and parameters, without what picks their input. */
export function declaredMeasures(generation: Pick<Generation, 'declared'>): Measures {
  const { measures } = JSON.parse(generation.declared) as {
    measures: [name: string, kind: MeasureKind, parameters: Record<string, number>][];
  };
  return Object.fromEntries(
    measures.map(([name, kind, parameters]) => [name, { kind, parameters, of: undefined }]),
  );
}

export function generationId(pipeline: AnyPipeline, adHoc: string | undefined): string {
  const id = `${pipeline.name}@${pipeline.version}`;
  return adHoc === undefined ? id : `${id}?${adHoc}`;
}

/** JSON with sorted keys; dates and bigints are tagged, `undefined` is left out. The same data gives the same text. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'bigint') return `{"$bigint":"${value}"}`;
  if (value instanceof Date) return `{"$date":${JSON.stringify(value)}}`;
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
  return `{${fields.join(',')}}`;
}
