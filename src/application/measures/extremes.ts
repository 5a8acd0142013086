import { Buffer } from 'node:buffer';
import { types } from 'node:util';
import { REFUSED, type Accumulator, type Kind, type KindFold } from './kind.ts';
import { corrupt, lengthOfDouble, type StateReader, type StateWriter } from './state-bytes.ts';

/** In ascending order: where states of one measure hold different types, the order of types decides. */
const NONE = 0;
const NUMBER = 1;
const DATE = 2;
const STRING = 3;

/** A value by its type: a date as milliseconds since 1970. */
interface Extreme {
  readonly type: number;
  readonly value: number | string;
}

const NOTHING: Extreme = { type: NONE, value: 0 };

/** Which type the values of one measure have, as far as this fold has seen them. */
interface Seen {
  type: number;
}

class ExtremeOf implements Accumulator {
  readonly #seen: Seen;
  readonly #largest: boolean;
  #value: number | string | undefined;

  constructor(seen: Seen, largest: boolean) {
    this.#seen = seen;
    this.#largest = largest;
  }

  add(value: number | string | Date): void {
    const type = typeof value === 'number' ? NUMBER : typeof value === 'string' ? STRING : DATE;
    this.#seen.type = type;
    // −0 + 0 is 0: the two zeros are equal, so only one of them may be kept.
    const comparable =
      type === NUMBER ? (value as number) + 0 : type === DATE ? timeOf(value as Date) : (value as string);
    if (this.#value === undefined || (this.#largest ? comparable > this.#value : comparable < this.#value))
      this.#value = comparable;
  }

  write(out: StateWriter): void {
    if (this.#value === undefined) writeExtreme(out, NOTHING);
    else writeExtreme(out, { type: this.#seen.type, value: this.#value });
  }
}

function timeOf(date: Date): number {
  return Date.prototype.getTime.call(date);
}

function accept(value: unknown, seen: Seen): unknown {
  let type: number;
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return undefined;
    type = NUMBER;
  } else if (value === undefined || value === null) return undefined;
  else if (typeof value === 'string') type = STRING;
  else if (types.isDate(value)) {
    if (Number.isNaN(timeOf(value))) return undefined;
    type = DATE;
  } else return REFUSED;
  return seen.type === NONE || seen.type === type ? value : REFUSED;
}

function extremeKind(tag: number, largest: boolean): Kind {
  return {
    tag,
    fold(): KindFold {
      const seen: Seen = { type: NONE };
      return { accept: (value) => accept(value, seen), create: () => new ExtremeOf(seen, largest) };
    },
    merge(a, b, out) {
      const left = readExtreme(a);
      const right = readExtreme(b);
      writeExtreme(out, (largest ? isLess(left, right) : isLess(right, left)) ? right : left);
    },
    read(state) {
      const { type, value } = readExtreme(state);
      if (type === NONE) return null;
      return type === DATE ? new Date(value) : value;
    },
  };

  function isLess(a: Extreme, b: Extreme): boolean {
    // Nothing gives way to anything, for the smallest as for the largest.
    if (a.type === NONE || b.type === NONE)
      return largest ? a.type === NONE && b.type !== NONE : a.type !== NONE && b.type === NONE;
    return a.type === b.type ? a.value < b.value : a.type < b.type;
  }
}

export const minKind = extremeKind(5, false);
export const maxKind = extremeKind(6, true);

// The head is the type, with 16 × the number of bytes of a double, or 16 for a string of two bytes a unit.
const WIDE = 16;

function writeExtreme(out: StateWriter, { type, value }: Extreme): void {
  if (typeof value === 'string') return writeString(out, value);
  if (type === NONE) return out.byte(NONE);
  const length = lengthOfDouble(value);
  out.byte(type | (length << 4));
  out.double(value, length);
}

function writeString(out: StateWriter, text: string): void {
  const wide = isWide(text);
  const length = wide ? 2 * text.length : text.length;
  out.byte(wide ? STRING | WIDE : STRING);
  out.count(length);
  out.reserve(length);
  Buffer.from(out.bytes.buffer, out.bytes.byteOffset + out.at, length).write(
    text,
    wide ? 'utf16le' : 'latin1',
  );
  out.at += length;
}

function isWide(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return true;
  return false;
}

function readExtreme(state: StateReader): Extreme {
  const head = state.byte();
  if (head === NONE) return NOTHING;
  const type = head & 15;
  if (head === STRING || head === (STRING | WIDE))
    return { type: STRING, value: readString(state, head === STRING ? 'latin1' : 'utf16le') };
  if (type !== NUMBER && type !== DATE) throw corrupt('an extreme has an unknown type');
  const value = state.double(head >> 4);
  if (Number.isNaN(value) || (type === DATE && Number.isNaN(new Date(value).getTime())))
    throw corrupt('an extreme is no value');
  return { type, value };
}

function readString(state: StateReader, encoding: 'latin1' | 'utf16le'): string {
  const length = state.count();
  const start = state.skip(length);
  if (encoding === 'utf16le' && length % 2 === 1) throw corrupt('a string is cut off');
  return Buffer.from(state.bytes.buffer, state.bytes.byteOffset + start, length).toString(encoding);
}
