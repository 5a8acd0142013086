import type { ObjectName } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Where } from '../../domain/where.ts';
import { Fields, wrong } from './fields.ts';

/** What `dispatch` is to plan: from a person, a schedule, or itself, where a listing took longer than an invocation. */
export interface Order {
  /** `s3://bucket/key` and `s3://bucket/prefix/`, in this order. */
  readonly locations: readonly string[];
  /** The run that it belongs to; `undefined`: a new one. */
  readonly run: string | undefined;
  /** Only keys of the first location that come after this one. */
  readonly after: string | undefined;
  /** A predicate of its own, beside the pipeline's: its results stand under a name of their own. */
  readonly where: Where | undefined;
}

const FIELDS = ['pipeline', 'objects', 'prefix', 'where', 'run', 'after'];
const RUN = /^[\w.@?-]{1,128}$/;

/** @throws DomainError `E_EVENT`, naming the field */
export function parseOrder(value: unknown, pipeline: AnyPipeline): Order {
  const fields = new Fields(value, FIELDS);
  fields.pipeline(pipeline);
  const prefix = fields.text('prefix');
  const objects = fields.texts('objects');
  if (prefix === undefined && objects === undefined)
    throw wrong('objects or prefix', 'must say what is to be read: s3://bucket/key, s3://bucket/prefix/');
  const run = fields.text('run');
  if (run !== undefined && !RUN.test(run))
    throw wrong('run', 'must be 1 to 128 letters, digits, and . _ - @ ?');
  // What a listing goes on with is its first location.
  const locations = [...(prefix === undefined ? [] : [prefix]), ...(objects ?? [])];
  for (const location of locations)
    if (!/^s3:\/\/[^/]+/.test(location)) throw wrong(location, 'is no place: s3://bucket/key is one');
  return { locations, run, after: fields.text('after'), where: fields.where('where') };
}

/** An order as JSON data, for a queue. */
export function orderData(order: Order, pipeline: AnyPipeline): Readonly<Record<string, unknown>> {
  const { locations, ...rest } = order;
  return { pipeline: pipeline.name, objects: locations, ...rest };
}

export function locationOf({ bucket, key }: ObjectName): string {
  return `s3://${bucket}/${key}`;
}
