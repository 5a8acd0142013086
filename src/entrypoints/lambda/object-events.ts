import { keyOfEventBridge, keyOfNotification } from '../../adapters/aws/object-keys.ts';
import { isDomainError, type DomainError } from '../../domain/errors.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import type { Log } from '../../domain/ports/ambient.ts';
import { isObject } from './events.ts';

export interface CreatedObjects {
  readonly names: readonly ObjectName[];
  /** `E_OBJECT_KEY` of each key that cannot be decoded: the others have nothing to do with it. */
  readonly faults: readonly DomainError[];
}

const NONE: CreatedObjects = { names: [], faults: [] };

/**
 * The objects that an event of S3's says were created: EventBridge's "Object Created", or a notification. Of other
 * events of S3 there are none, and none of the test that S3 sends when notifications are set up.
 *
 * @returns `null` where it is no event of S3's
 */
export function createdObjectsOf(event: unknown): CreatedObjects | null {
  if (!isObject(event)) return null;
  if (event['source'] === 'aws.s3')
    return event['detail-type'] === 'Object Created' ? fromEventBridge(event) : NONE;
  if (event['Event'] === 's3:TestEvent') return NONE;
  const records = event['Records'];
  if (!Array.isArray(records) || records.length === 0) return null;
  if (!records.every((record) => isObject(record) && record['eventSource'] === 'aws:s3')) return null;
  return decoded(records.flatMap(fromNotification), keyOfNotification);
}

/**
 * To be called when the objects of an event are done: it comes again for its faults alone, until it is a dead letter that somebody looks at.
 *
 * @throws DomainError the first fault; the log has the others
 */
export function refuseFaults({ faults: [first, ...others] }: CreatedObjects, log: Log): void {
  for (const fault of others) log.error({ code: fault.code, error: fault }, fault.message);
  if (first !== undefined) throw first;
}

function fromEventBridge(event: Readonly<Record<string, unknown>>): CreatedObjects | null {
  const bucket = at(event, 'detail', 'bucket', 'name');
  const key = at(event, 'detail', 'object', 'key');
  return typeof bucket === 'string' && typeof key === 'string'
    ? decoded([{ bucket, key }], keyOfEventBridge)
    : null;
}

/** Keys as they are written. */
function fromNotification(record: unknown): readonly ObjectName[] {
  const name = at(record, 'eventName');
  const bucket = at(record, 's3', 'bucket', 'name');
  const key = at(record, 's3', 'object', 'key');
  const isCreated = typeof name === 'string' && /^(?:s3:)?ObjectCreated:/.test(name);
  return isCreated && typeof bucket === 'string' && typeof key === 'string' ? [{ bucket, key }] : [];
}

function decoded(written: readonly ObjectName[], keyOf: (written: string) => string): CreatedObjects {
  const names: ObjectName[] = [];
  const faults: DomainError[] = [];
  for (const { bucket, key } of written) {
    try {
      names.push({ bucket, key: keyOf(key) });
    } catch (thrown) {
      if (!isDomainError(thrown)) throw thrown;
      faults.push(thrown);
    }
  }
  return { names, faults };
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);
}
