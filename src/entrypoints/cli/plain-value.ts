import { toTaggedJson } from '../../application/values/tagged-json.ts';

/** Plain data as what `JSON.stringify` can write: bigints, dates and bytes are tagged. */
export function plainValue(value: unknown): unknown {
  return JSON.parse(toTaggedJson(value)) as unknown;
}
