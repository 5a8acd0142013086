import { Buffer } from 'node:buffer';
import { InfrastructureError } from '../../domain/errors.ts';
import type { MessagesBody } from '../../domain/frame.ts';
import { ValueReader } from '../values/value-reader.ts';
import { definedFields, isPlainObject, ValueWriter } from '../values/value-writer.ts';
import type { EncodedMessage, MessageEncoding, MessagesBodyWriter } from './message-encoding.ts';
import {
  fieldValues,
  messageMaker,
  shapeOf,
  type FieldValues,
  type Message,
  type MessageShape,
} from './message-shape.ts';
import { ColumnWriter, readColumn, Snapshot, type ColumnValue } from './packed-column.ts';

/** What is not an object has one column and no names. */
const LOOSE: MessageShape = { names: [], key: '' };

/** Messages with ever new names (ids as field names) must not fill the memory. */
const MAX_SHAPES = 10_000;

/** Longer text is measured at once; measuring short text costs as much as writing it. */
const SHORT_TEXT = 64;

/** Text that a body may hold before it writes it, in UTF-16 units. */
const MAX_PENDING = 16 * 1024;

interface PackedMessage extends EncodedMessage {
  readonly shape: MessageShape;
  readonly values: readonly ColumnValue[];
  /** Text among the values, in UTF-16 units. */
  readonly units: number;
}

/**
 * Field names once a frame (three quarters of JSON like this are names), and the values of each field together: they are written
 * faster and compress better than message by message.
 *
 * ```text
 * shapes   MessagePack, a list of names for each
 * count    varint
 * for each message: coordinate minus the one before, output, number of its shape (0: no object), varints
 * for each shape that occurs, 0 first, for each of its fields: a column
 * ```
 */
export class PackedEncoding implements MessageEncoding<PackedMessage> {
  readonly #scratch = new ValueWriter();
  readonly #spare: ColumnWriter[] = [];
  readonly #shapes = new Map<string, KnownShape>();
  #last: KnownShape | undefined;

  encode(message: unknown): PackedMessage {
    const shape = isFields(message) ? this.#shapeOf(message) : undefined;
    if (shape === undefined) return this.#pack(LOOSE, [message], 0);
    const values = shape.valuesOf(message as Message);
    if (!values.includes(undefined)) return this.#pack(shape, values, 1);
    const defined = this.#shapeOfNames(definedFields(message as Message));
    return this.#pack(defined, defined.valuesOf(message as Message), 1);
  }

  startBody(): MessagesBodyWriter<PackedMessage> {
    return new PackedBodyWriter(this.#spare);
  }

  /** Takes what is not text, number or the like as it is now: the values are written later. */
  #pack(shape: MessageShape, values: unknown[], depth: number): PackedMessage {
    let size = 3;
    let units = 0;
    for (let at = 0; at < values.length; at++) {
      const value = values[at];
      switch (typeof value) {
        case 'string':
          units += value.length;
          size += value.length <= SHORT_TEXT ? value.length + 1 : Buffer.byteLength(value, 'utf8') + 5;
          break;
        case 'number':
          size += value >= 0 && value < 0x80 && Number.isInteger(value) ? 1 : 9;
          break;
        case 'boolean':
          size += 1;
          break;
        default:
          if (value === null) size += 1;
          else {
            const snapshot = this.#snapshot(value, depth);
            values[at] = snapshot;
            size += snapshot.bytes.length;
          }
      }
    }
    return { shape, values: values as ColumnValue[], size, units };
  }

  #snapshot(value: unknown, depth: number): Snapshot {
    this.#scratch.truncate(0);
    this.#scratch.write(value, depth);
    return new Snapshot(new Uint8Array(this.#scratch.bytes()));
  }

  /** Messages mostly look like the one before: comparing names is cheaper than joining them into a key. */
  #shapeOf(message: Message): KnownShape {
    const names = Object.keys(message);
    const last = this.#last;
    return last !== undefined && areSame(names, last.names) ? last : this.#shapeOfNames(names);
  }

  #shapeOfNames(names: readonly string[]): KnownShape {
    const shape = shapeOf(names);
    let known = this.#shapes.get(shape.key);
    if (known === undefined) {
      if (this.#shapes.size >= MAX_SHAPES) this.#shapes.clear();
      known = { ...shape, valuesOf: fieldValues(shape) };
      this.#shapes.set(shape.key, known);
    }
    this.#last = known;
    return known;
  }

  read(bytes: Uint8Array): MessagesBody {
    const reader = new ValueReader(bytes);
    const shapes = [LOOSE, ...(reader.read() as string[][]).map(shapeOf)];
    const counts = shapes.map(() => 0);
    const count = reader.readVarint();
    const coordinates: number[] = [];
    const outputs: number[] = [];
    const indexes: number[] = [];
    let coordinate = 0;
    for (let at = 0; at < count; at++) {
      coordinate += reader.readVarint();
      coordinates.push(coordinate);
      outputs.push(reader.readVarint());
      const index = reader.readVarint();
      if (index >= shapes.length) throw corrupt('a message has no field names');
      indexes.push(index);
      counts[index] = (counts[index] as number) + 1;
    }
    const makers = shapes.map((shape, index) => readShape(reader, shape, counts[index] as number));
    if (!reader.done) throw corrupt('something follows its messages');
    const rows = shapes.map(() => 0);
    const messages = indexes.map((index) => {
      const row = rows[index] as number;
      rows[index] = row + 1;
      return (makers[index] as (row: number) => unknown)(row);
    });
    return { kind: 'messages', messages, coordinates, outputs };
  }
}

interface KnownShape extends MessageShape {
  readonly valuesOf: FieldValues;
}

function readShape(reader: ValueReader, shape: MessageShape, rows: number): (row: number) => unknown {
  if (shape === LOOSE) {
    const values = rows === 0 ? [] : readColumn(reader, rows, 0);
    return (row) => values[row];
  }
  const columns = shape.names.map(() => readColumn(reader, rows, 1));
  return messageMaker(shape, columns, rows);
}

/** Columns that wait to be used again, of all bodies that an encoding has finished. */
const MAX_SPARE = 2_000;

class PackedBodyWriter implements MessagesBodyWriter<PackedMessage> {
  /** Columns of finished bodies: their memory lies outside of V8's heap, and making it anew for each frame makes V8 collect all of it. */
  readonly #spare: ColumnWriter[];
  readonly #positions = new ValueWriter(0);
  /** By key: which shapes the encoding still remembers must not show in the bytes. */
  readonly #shapes = new Map<string, ShapeColumns>();
  #last: ShapeColumns | undefined;
  #lastShape: MessageShape | undefined;
  #coordinate = 0;
  #count = 0;
  #size = 0;
  #pending = 0;

  constructor(spare: ColumnWriter[]) {
    this.#spare = spare;
  }

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#size;
  }

  add({ shape, values, size, units }: PackedMessage, coordinate: number, output: number): void {
    const { index, columns } = this.#columnsOf(shape);
    this.#positions.writeVarint(coordinate - this.#coordinate);
    this.#positions.writeVarint(output);
    this.#positions.writeVarint(index);
    for (let at = 0; at < columns.length; at++) (columns[at] as ColumnWriter).add(values[at] as ColumnValue);
    this.#coordinate = coordinate;
    this.#count++;
    this.#size += size;
    this.#pending += units;
    if (this.#pending >= MAX_PENDING) this.#flush();
  }

  finish(): Uint8Array {
    const body = new ValueWriter(this.#size + 1024);
    const named = [...this.#shapes.values()].filter(({ index }) => index > 0);
    body.write(named.map(({ names }) => names));
    body.writeVarint(this.#count);
    body.append(this.#positions.bytes());
    const loose = this.#shapes.get(LOOSE.key);
    for (const { columns } of loose === undefined ? named : [loose, ...named])
      for (const column of columns) {
        column.writeTo(body);
        if (this.#spare.length < MAX_SPARE) this.#spare.push(column);
      }
    return body.bytes();
  }

  #newColumn(): ColumnWriter {
    return this.#spare.pop() ?? new ColumnWriter();
  }

  #flush(): void {
    for (const { columns } of this.#shapes.values())
      for (const column of columns) this.#size += column.flush();
    this.#pending = 0;
  }

  #columnsOf(shape: MessageShape): ShapeColumns {
    if (shape === this.#lastShape) return this.#last as ShapeColumns;
    let known = this.#shapes.get(shape.key);
    if (known === undefined) {
      known = this.#begin(shape);
      this.#shapes.set(shape.key, known);
    }
    this.#last = known;
    this.#lastShape = shape;
    return known;
  }

  #begin(shape: MessageShape): ShapeColumns {
    const { names } = shape;
    if (shape === LOOSE) return { index: 0, names, columns: [this.#newColumn()] };
    for (const name of names) this.#size += 2 + 3 * name.length + COLUMN_BYTES;
    const index = this.#shapes.size + (this.#shapes.has(LOOSE.key) ? 0 : 1);
    return { index, names, columns: names.map(() => this.#newColumn()) };
  }
}

/** What a column takes beside its values. */
const COLUMN_BYTES = 5;

interface ShapeColumns {
  readonly index: number;
  readonly names: readonly string[];
  readonly columns: readonly ColumnWriter[];
}

function isFields(message: unknown): message is Message {
  return typeof message === 'object' && message !== null && !Array.isArray(message) && isPlainObject(message);
}

function areSame(some: readonly string[], others: readonly string[]): boolean {
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false;
  return true;
}

function corrupt(why: string): InfrastructureError {
  return new InfrastructureError(`a frame is damaged: ${why}`, { code: 'E_FRAME_CORRUPT' });
}
