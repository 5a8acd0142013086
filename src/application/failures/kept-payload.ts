import { Buffer, isUtf8 } from 'node:buffer';
import { columnNames } from '../../domain/columns.ts';
import { MAX_PAYLOAD_BYTES } from '../../domain/failure.ts';
import { maskedFields, maskFields } from '../../domain/mask.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { emptyRow, type Row } from '../../domain/row.ts';
import { decodeValue } from '../values/value-reader.ts';
import { encodeValue } from '../values/value-writer.ts';

/**
 * What failures of a pipeline keep, masked as it says; each `null` where nothing is kept. Whatever a failure's payload is made of goes through here before
 * it is put into a frame, a store or a copy.
 */
export interface Keeping {
  row(row: Row): Uint8Array | null;
  message(message: unknown): Uint8Array | null;
  /** The stored bytes of a row that could not be read: text where they are text. Fields cannot be told in them: none where rows are masked. */
  raw(raw: Uint8Array | null): Uint8Array | null;
  /** What a failure keeps that has failed again: the mask may be another than it was then. */
  again(kept: Uint8Array | null, what: 'row' | 'message'): Uint8Array | null;
}

export function keepingOf({ mask, source }: Pick<AnyPipeline, 'mask' | 'source'>): Keeping {
  if (mask === undefined) {
    const whole = (value: unknown) => payloadOf(() => value);
    return { row: whole, message: whole, raw: rawPayload, again: (kept) => kept };
  }
  const { rows, messages } = mask;
  const columns = source.columns === undefined ? undefined : columnNames(source.columns);
  const row = (whole: Row) => {
    if (rows === undefined) return null;
    // A message from elsewhere has columns that nobody declared, and therefore nobody masked.
    return payloadOf(() => (rows.length === 0 ? whole : maskFields(only(columns, whole), rows)));
  };
  const message = (whole: unknown) =>
    messages === undefined ? null : payloadOf(() => maskFields(whole, messages));
  const keepsRaw = rows?.length === 0;
  return {
    row,
    message,
    raw: (raw) => (keepsRaw ? rawPayload(raw) : null),
    again: (kept, what) => {
      if (kept === null) return null;
      const value = decodeValue(kept);
      if (what === 'message') return message(value);
      const isRaw = typeof value === 'string' || value instanceof Uint8Array;
      return isRaw ? (keepsRaw ? kept : null) : row(value as Row);
    },
  };
}

/** Whether all of a row or message was kept: only then can it be processed without its source. */
export function isWhole(payload: Uint8Array | null): payload is Uint8Array {
  return payload !== null && maskedFields(decodeValue(payload)).length === 0;
}

function only(columns: readonly string[] | undefined, row: Row): Row {
  if (columns === undefined) return row;
  const declared = emptyRow();
  for (const name of columns) if (Object.hasOwn(row, name)) declared[name] = row[name];
  return declared;
}

/** `null` where it is too large or cannot be encoded. */
function payloadOf(value: () => unknown): Uint8Array | null {
  try {
    const bytes = encodeValue(value());
    return bytes.length <= MAX_PAYLOAD_BYTES ? bytes : null;
  } catch {
    // What made the row fail may be the very thing that cannot be encoded; it is read again then.
    return null;
  }
}

function rawPayload(raw: Uint8Array | null): Uint8Array | null {
  if (raw === null) return null;
  const { buffer, byteOffset, byteLength } = raw;
  return payloadOf(() => (isUtf8(raw) ? Buffer.from(buffer, byteOffset, byteLength).toString('utf8') : raw));
}
