import { InfrastructureError } from '../../domain/errors.ts';
import type { ValueReader } from '../values/value-reader.ts';
import {
  DICTIONARY,
  FLOAT64,
  INT16,
  INT32,
  INT8,
  INTEGERS,
  MAX_DISTINCT,
  TEXT,
  VALUES,
} from './packed-column.ts';

/**
 * Reads `count` values of a column.
 *
 * @throws InfrastructureError `E_FRAME_CORRUPT`
 */
export function readColumn(reader: ValueReader, count: number, depth: number): readonly unknown[] {
  const kind = reader.readVarint();
  switch (kind) {
    case VALUES:
      return readTimes(count, () => reader.read(depth));
    case TEXT:
      return readTexts(reader, count);
    case INT8:
    case INT16:
    case INT32:
      return listOf(new INTEGERS[kind](reader.readBytes(INTEGERS[kind].BYTES_PER_ELEMENT * count)));
    case FLOAT64:
      return listOf(new Float64Array(reader.readBytes(8 * count)));
    case DICTIONARY:
      return readDictionary(reader, count);
    default:
      throw corrupt('a column is of no kind');
  }
}

function readTexts(reader: ValueReader, count: number): readonly (string | null)[] {
  const lengths = readTimes(count, () => reader.readVarint());
  const text = reader.readText(reader.readVarint());
  let at = 0;
  const texts = lengths.map((length) => (length === 0 ? null : text.slice(at, (at += length - 1))));
  if (at !== text.length) throw corrupt('the text of a column has another length');
  return texts;
}

function readDictionary(reader: ValueReader, count: number): readonly (string | null)[] {
  const differ = reader.readVarint();
  if (differ > MAX_DISTINCT) throw corrupt('a dictionary has more texts than a byte tells apart');
  const texts = readTexts(reader, differ);
  const indexes = new Uint8Array(reader.readBytes(count));
  const list: (string | null)[] = [];
  for (let at = 0; at < indexes.length; at++) {
    const text = texts[indexes[at] as number];
    if (text === undefined) throw corrupt('a text is not in its dictionary');
    list.push(text);
  }
  return list;
}

/** A loop: `Array.from` iterates, which takes several times as long. */
function listOf(numbers: Int8Array | Int16Array | Int32Array | Float64Array): readonly number[] {
  const list: number[] = [];
  for (let at = 0; at < numbers.length; at++) list.push(numbers[at] as number);
  return list;
}

/** A damaged count must not reserve what the bytes cannot fill. */
function readTimes<Value>(count: number, read: () => Value): Value[] {
  const values: Value[] = [];
  for (let index = 0; index < count; index++) values.push(read());
  return values;
}

function corrupt(why: string): InfrastructureError {
  return new InfrastructureError(`a frame is damaged: ${why}`, { code: 'E_FRAME_CORRUPT' });
}
