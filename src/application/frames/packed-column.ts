import { InfrastructureError } from '../../domain/errors.ts';
import { ValueReader } from '../values/value-reader.ts';
import { ValueWriter } from '../values/value-writer.ts';

/** What a column keeps of a value that somebody may still change: its bytes. */
export class Snapshot {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

export type ColumnValue = string | number | bigint | boolean | null | Snapshot;

/** How a column is written. */
const VALUES = 0;
const TEXT = 1;

/** Frames have a few thousand messages; most columns of a small one fit. */
const INITIAL_BYTES = 256;

/**
 * The values of one field in the messages of a frame. Where all are text (or `null`), their characters are written together and their lengths
 * apart: one call into native code for many values, a third of the time of writing each. All others are written value by value.
 *
 * ```text
 * text    1  lengths (UTF-16 units + 1; 0 is null), varints   bytes, varint   UTF-8
 * values  0  values as `ValueWriter` writes them
 * ```
 */
export class ColumnWriter {
  #isText = true;
  readonly #lengths = new ValueWriter(INITIAL_BYTES);
  #bytes = new ValueWriter(INITIAL_BYTES);
  #pending = '';

  add(value: ColumnValue): void {
    if (this.#isText) {
      if (typeof value === 'string') {
        this.#lengths.writeVarint(value.length + 1);
        this.#pending += value;
        return;
      }
      if (value === null) return this.#lengths.writeVarint(0);
      this.#becomeValues();
    }
    if (value instanceof Snapshot) this.#bytes.append(value.bytes);
    else this.#bytes.write(value);
  }

  /** Writes the text that waits; how many bytes it has more than UTF-16 units. */
  flush(): number {
    const text = this.#pending;
    if (text === '') return 0;
    if (!text.isWellFormed()) {
      const before = this.#bytes.length;
      this.#becomeValues();
      return Math.max(0, this.#bytes.length - before - text.length);
    }
    this.#pending = '';
    return this.#bytes.appendUtf8(text) - text.length;
  }

  /** Appends the column, and empties it. */
  writeTo(body: ValueWriter): void {
    this.flush();
    body.writeVarint(this.#isText ? TEXT : VALUES);
    if (this.#isText) {
      body.append(this.#lengths.bytes());
      body.writeVarint(this.#bytes.length);
    }
    body.append(this.#bytes.bytes());
    this.#isText = true;
    this.#lengths.truncate(0);
    this.#bytes.truncate(0);
  }

  /** Which way a column is written follows from its values alone, so all that came before is written again. */
  #becomeValues(): void {
    const values = new ValueWriter(INITIAL_BYTES);
    const text = new ValueReader(this.#bytes.bytes()).readText(this.#bytes.length) + this.#pending;
    const lengths = new ValueReader(this.#lengths.bytes());
    let at = 0;
    while (!lengths.done) {
      const length = lengths.readVarint();
      if (length === 0) values.write(null);
      else values.write(text.slice(at, (at += length - 1)));
    }
    this.#isText = false;
    this.#bytes = values;
    this.#pending = '';
  }
}

/**
 * Reads `count` values of a column.
 *
 * @throws InfrastructureError `E_FRAME_CORRUPT`
 */
export function readColumn(reader: ValueReader, count: number, depth: number): unknown[] {
  const kind = reader.readVarint();
  if (kind === VALUES) return readTimes(count, () => reader.read(depth));
  if (kind !== TEXT) throw corrupt('a column is of no kind');
  const lengths = readTimes(count, () => reader.readVarint());
  const text = reader.readText(reader.readVarint());
  let at = 0;
  const texts = lengths.map((length) => (length === 0 ? null : text.slice(at, (at += length - 1))));
  if (at !== text.length) throw corrupt('the text of a column has another length');
  return texts;
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
