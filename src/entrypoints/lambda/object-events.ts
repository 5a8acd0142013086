import { keyOfEventBridge, keyOfNotification } from '../../adapters/aws/object-keys.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import { isObject } from './events.ts';

/**
 * The objects that an event of S3's says were created: EventBridge's "Object Created", or a notification. Of other
 * events of S3 there are none, and none of the test that S3 sends when notifications are set up.
 *
 * @returns `null` where it is no event of S3's
 * @throws DomainError `E_OBJECT_KEY`
 */
export function createdObjectsOf(event: unknown): readonly ObjectName[] | null {
  if (!isObject(event)) return null;
  if (event['source'] === 'aws.s3')
    return event['detail-type'] === 'Object Created' ? fromEventBridge(event) : [];
  if (event['Event'] === 's3:TestEvent') return [];
  const records = event['Records'];
  if (!Array.isArray(records) || records.length === 0) return null;
  if (!records.every((record) => isObject(record) && record['eventSource'] === 'aws:s3')) return null;
  return records.flatMap(fromNotification);
}

function fromEventBridge(event: Readonly<Record<string, unknown>>): readonly ObjectName[] | null {
  const bucket = at(event, 'detail', 'bucket', 'name');
  const key = at(event, 'detail', 'object', 'key');
  return typeof bucket === 'string' && typeof key === 'string'
    ? [{ bucket, key: keyOfEventBridge(key) }]
    : null;
}

function fromNotification(record: unknown): readonly ObjectName[] {
  const name = at(record, 'eventName');
  const bucket = at(record, 's3', 'bucket', 'name');
  const key = at(record, 's3', 'object', 'key');
  const isCreated = typeof name === 'string' && /^(?:s3:)?ObjectCreated:/.test(name);
  return isCreated && typeof bucket === 'string' && typeof key === 'string'
    ? [{ bucket, key: keyOfNotification(key) }]
    : [];
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);
}
