import { InfrastructureError } from '../../domain/errors.ts';
import type { MessagesBody } from '../../domain/frame.ts';
import { ValueReader } from '../values/value-reader.ts';
import { definedFields, isPlainObject, ValueWriter } from '../values/value-writer.ts';
import type { MessageEncoding, MessagesBodyWriter } from './message-encoding.ts';
import { messageMaker, shapeOf, type Message, type MessageShape } from './message-shape.ts';
import type { ColumnValue } from './packed-column.ts';
import { readColumn } from './packed-column-reader.ts';
import { ColumnWriter } from './packed-column-writer.ts';
import {
  LOOSE,
  messagePacker,
  packFields,
  packLoose,
  surplusOf,
  type MessagePacker,
  type PackedMessage,
} from './packed-message.ts';

/** Messages with ever new names (ids as field names) must not fill the memory. */
const MAX_SHAPES = 10_000;

/** What a body may hold before it puts it into columns: text, in UTF-16 units, and messages of one shape. */
const MAX_PENDING = 16 * 1024;
const MAX_PENDING_MESSAGES = 64;

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
  readonly #spare: ColumnWriter[] = [];
  readonly #shapes = new Map<string, KnownShape>();
  #last: KnownShape | undefined;

  encode(message: unknown): PackedMessage {
    if (!isFields(message)) return packLoose(message);
    const packed = this.#shapeOf(message).pack(message);
    return packed ?? packFields(this.#shapeOfNames(definedFields(message)), message);
  }

  measure(message: PackedMessage): number {
    return message.size - message.surplus + surplusOf(message);
  }

  startBody(): MessagesBodyWriter<PackedMessage> {
    return new PackedBodyWriter(this.#spare);
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
      known = { ...shape, pack: messagePacker(shape) };
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
  readonly pack: MessagePacker;
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
  #measured = 0;
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

  add({ shape, values, size, units, surplus }: PackedMessage, coordinate: number, output: number): void {
    const { index, pending } = this.#columnsOf(shape);
    this.#positions.writeVarint(coordinate - this.#coordinate);
    this.#positions.writeVarint(output);
    this.#positions.writeVarint(index);
    pending.push(values);
    this.#coordinate = coordinate;
    this.#count++;
    // What is measured already is counted again with the rest.
    this.#size += size;
    this.#measured += surplus;
    this.#pending += units;
    if (this.#pending >= MAX_PENDING || pending.length >= MAX_PENDING_MESSAGES) this.#flush();
  }

  finish(): Uint8Array {
    this.#flush();
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
    for (const { columns, pending } of this.#shapes.values()) {
      if (pending.length === 0) continue;
      for (const [at, column] of columns.entries()) this.#size += column.add(pending, at);
      pending.length = 0;
    }
    this.#size -= this.#measured;
    this.#measured = 0;
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
    if (shape === LOOSE) return { index: 0, names, columns: [this.#newColumn()], pending: [] };
    for (const name of names) this.#size += 2 + 3 * name.length + COLUMN_BYTES;
    const index = this.#shapes.size + (this.#shapes.has(LOOSE.key) ? 0 : 1);
    return { index, names, columns: names.map(() => this.#newColumn()), pending: [] };
  }
}

/** What a column takes beside its values. */
const COLUMN_BYTES = 5;

interface ShapeColumns {
  readonly index: number;
  readonly names: readonly string[];
  readonly columns: readonly ColumnWriter[];
  /** Values of messages that are in no column yet. */
  readonly pending: (readonly ColumnValue[])[];
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
