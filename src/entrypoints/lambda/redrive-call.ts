import type { Stage } from '../../domain/failure.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { FailureQuery } from '../../domain/ports/result-store.ts';
import { Fields } from './fields.ts';

/** Which failures a direct call wants processed again, and how fast. */
export interface RedriveCall {
  readonly query: FailureQuery;
  readonly limit: number;
  /** Failures a second at most. */
  readonly rate: number;
  readonly dryRun: boolean;
}

const FIELDS = [
  'pipeline',
  'generation',
  'id',
  'code',
  'stage',
  'object',
  'since',
  'until',
  'limit',
  'rate',
  'dryRun',
];
const STAGES: readonly Stage[] = ['open', 'read', 'transform', 'analyze', 'findings'];

/** @throws DomainError `E_EVENT`, naming the field */
export function parseRedriveCall(value: unknown, pipeline: AnyPipeline): RedriveCall {
  const fields = new Fields(value, FIELDS);
  fields.pipeline(pipeline);
  const object = fields.text('object');
  const wanted = {
    generation: fields.text('generation') ?? `${pipeline.name}@${pipeline.version}`,
    id: fields.text('id'),
    code: fields.text('code'),
    stage: fields.oneOf('stage', STAGES),
    object: object === undefined ? undefined : objectNamed(object),
    since: fields.time('since'),
    until: fields.time('until'),
  };
  const given = Object.entries(wanted).filter(([, wish]) => wish !== undefined);
  return {
    query: { ...(Object.fromEntries(given) as FailureQuery), state: 'open' },
    limit: fields.number('limit') ?? Number.POSITIVE_INFINITY,
    rate: fields.number('rate') ?? Number.POSITIVE_INFINITY,
    dryRun: fields.flag('dryRun'),
  };
}

/** `s3://bucket/key`, or a key in any bucket. */
function objectNamed(text: string): Partial<ObjectName> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(text) ?? [];
  return bucket === undefined || key === undefined ? { key: text } : { bucket, key };
}
