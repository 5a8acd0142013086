import { toTaggedJson } from '../../application/values/tagged-json.ts';
import { decodeValue } from '../../application/values/value-reader.ts';

/** A failure's row or message as the ledger shows it. */
export function payloadToJson(payload: Uint8Array): string {
  return toTaggedJson(decodeValue(payload));
}
