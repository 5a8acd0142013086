import type { AnyPipeline } from '../../domain/pipeline.ts';
import { isObject } from './events.ts';
import { Fields, wrong } from './fields.ts';

/** Which undelivered records a direct call wants put into their stream again, and how fast. */
export interface UndeliveredCall {
  /** `s3://bucket/prefix`: below it lie what on-failure destinations have written. */
  readonly undelivered: string;
  /** Records a second at most; `undefined`: the container's own. */
  readonly rate: number | undefined;
  /** Only keys that come after this one: a listing that goes on. */
  readonly after: string | undefined;
}

const FIELDS = ['pipeline', 'undelivered', 'rate', 'after'];

export function isUndeliveredCall(value: unknown): boolean {
  return isObject(value) && 'undelivered' in value;
}

/** @throws DomainError `E_EVENT`, naming the field */
export function parseUndeliveredCall(value: unknown, pipeline: AnyPipeline): UndeliveredCall {
  const fields = new Fields(value, FIELDS);
  fields.pipeline(pipeline);
  const undelivered = fields.text('undelivered');
  if (undelivered === undefined || !/^s3:\/\/[^/]+\/./.test(undelivered))
    throw wrong('undelivered', 'must be a place: s3://bucket/aws/lambda/, or below it');
  return { undelivered, rate: fields.number('rate'), after: fields.text('after') };
}
