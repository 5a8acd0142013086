import { Buffer } from 'node:buffer';
import { InfrastructureError } from '../../domain/errors.ts';
import type { MessagesBody } from '../../domain/frame.ts';
import type { FrameCodec } from '../../domain/pipeline.ts';
import { fromTaggedJson, toTaggedJson } from '../values/tagged-json.ts';
import { setField, ValueReader } from '../values/value-reader.ts';
import { definedFields, isPlainObject, ValueWriter } from '../values/value-writer.ts';

/** One message, encoded but for what it shares with the others of its frame. */
export interface EncodedMessage {
  /** Names of its fields; `null` where it is not an object. */
  readonly shape: Shape | null;
  /** Valid until the next message is encoded. */
  readonly bytes: Uint8Array;
}

export interface Shape {
  readonly names: readonly string[];
  /** The same for the same names. */
  readonly key: string;
}

/** How the messages of one frame become bytes, message by message, so that a frame can be cut by its size. */
export interface MessageEncoding {
  /** @throws DomainError `E_MESSAGE_UNSUPPORTED` */
  encode(message: unknown): EncodedMessage;
  startBody(): MessagesBodyWriter;
  read(bytes: Uint8Array): MessagesBody;
}

/** Collects the messages of one frame. The bytes are canonical: equal messages at equal positions, equal bytes. */
export interface MessagesBodyWriter {
  readonly count: number;
  /** Canonical bytes of the messages so far. */
  readonly size: number;
  add(message: EncodedMessage, coordinate: number, output: number): void;
  finish(): Uint8Array;
}

export function createMessageEncoding(codec: FrameCodec): MessageEncoding {
  return codec === 'packed' ? new PackedEncoding() : new JsonLinesEncoding();
}

/** Field names once a frame: three quarters of JSON like this are names. */
class PackedEncoding implements MessageEncoding {
  readonly #scratch = new ValueWriter();
  readonly #shapes = new Map<string, Shape>();
  #last: Shape | undefined;

  encode(message: unknown): EncodedMessage {
    const scratch = this.#scratch;
    scratch.truncate(0);
    if (
      typeof message !== 'object' ||
      message === null ||
      Array.isArray(message) ||
      !isPlainObject(message)
    ) {
      scratch.write(message);
      return { shape: null, bytes: scratch.bytes() };
    }
    const shape = this.#shapeOf(message);
    for (const name of shape.names) scratch.write((message as Record<string, unknown>)[name], 1);
    return { shape, bytes: scratch.bytes() };
  }

  startBody(): MessagesBodyWriter {
    return new PackedBodyWriter();
  }

  /** Messages mostly look like the one before: comparing names is cheaper than joining them into a key. */
  #shapeOf(message: object): Shape {
    const names = definedFields(message);
    const last = this.#last;
    if (
      last !== undefined &&
      last.names.length === names.length &&
      last.names.every((name, index) => name === names[index])
    )
      return last;
    const key = JSON.stringify(names);
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      // Messages with ever new names (ids as field names) must not fill the memory.
      if (this.#shapes.size >= 10_000) this.#shapes.clear();
      shape = { names, key };
      this.#shapes.set(key, shape);
    }
    this.#last = shape;
    return shape;
  }

  read(bytes: Uint8Array): MessagesBody {
    const reader = new ValueReader(bytes);
    const shapes = reader.read() as string[][];
    const count = reader.readVarint();
    const messages: unknown[] = [];
    const coordinates: number[] = [];
    const outputs: number[] = [];
    let coordinate = 0;
    for (let index = 0; index < count; index++) {
      coordinate += reader.readVarint();
      coordinates.push(coordinate);
      outputs.push(reader.readVarint());
      messages.push(readMessage(reader, shapes));
    }
    if (!reader.done)
      throw new InfrastructureError('a frame is damaged: something follows its messages', {
        code: 'E_FRAME_CORRUPT',
      });
    return { kind: 'messages', messages, coordinates, outputs };
  }
}

function readMessage(reader: ValueReader, shapes: readonly (readonly string[])[]): unknown {
  const index = reader.readVarint();
  if (index === 0) return reader.read();
  const names = shapes[index - 1];
  if (names === undefined)
    throw new InfrastructureError('a frame is damaged: a message has no field names', {
      code: 'E_FRAME_CORRUPT',
    });
  const message: Record<string, unknown> = {};
  for (const name of names) setField(message, name, reader.read(1));
  return message;
}

class PackedBodyWriter implements MessagesBodyWriter {
  readonly #writer = new ValueWriter();
  /** By key: which shapes the encoding still remembers must not show in the bytes. */
  readonly #shapes = new Map<string, { readonly index: number; readonly names: readonly string[] }>();
  #count = 0;
  #coordinate = 0;
  #nameBytes = 0;

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#writer.length + this.#nameBytes;
  }

  add(message: EncodedMessage, coordinate: number, output: number): void {
    this.#writer.writeVarint(coordinate - this.#coordinate);
    this.#writer.writeVarint(output);
    this.#writer.writeVarint(message.shape === null ? 0 : this.#indexOf(message.shape));
    this.#writer.append(message.bytes);
    this.#coordinate = coordinate;
    this.#count++;
  }

  finish(): Uint8Array {
    const head = new ValueWriter();
    head.write([...this.#shapes.values()].map(({ names }) => names));
    head.writeVarint(this.#count);
    head.append(this.#writer.bytes());
    return head.take();
  }

  #indexOf(shape: Shape): number {
    const known = this.#shapes.get(shape.key);
    if (known !== undefined) return known.index;
    const index = this.#shapes.size + 1;
    this.#shapes.set(shape.key, { index, names: shape.names });
    for (const name of shape.names) this.#nameBytes += 2 + 3 * name.length;
    return index;
  }
}

/** One message a line after a line of positions, for readers that are not Sluice. */
class JsonLinesEncoding implements MessageEncoding {
  encode(message: unknown): EncodedMessage {
    return { shape: null, bytes: Buffer.from(`${toTaggedJson(message)}\n`, 'utf8') };
  }

  startBody(): MessagesBodyWriter {
    return new JsonLinesBodyWriter();
  }

  read(bytes: Uint8Array): MessagesBody {
    const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').split('\n');
    const positions = fromTaggedJson(lines[0] ?? '') as { coordinates: number[]; outputs: number[] };
    const messages = lines.slice(1, -1).map(fromTaggedJson);
    if (messages.length !== positions.coordinates.length || messages.length !== positions.outputs.length) {
      throw new InfrastructureError('a frame is damaged: messages and positions differ in number', {
        code: 'E_FRAME_CORRUPT',
      });
    }
    return { kind: 'messages', messages, ...positions };
  }
}

class JsonLinesBodyWriter implements MessagesBodyWriter {
  readonly #lines = new ValueWriter();
  readonly #coordinates: number[] = [];
  readonly #outputs: number[] = [];

  get count(): number {
    return this.#coordinates.length;
  }

  get size(): number {
    return this.#lines.length + 16 * this.#coordinates.length;
  }

  add(message: EncodedMessage, coordinate: number, output: number): void {
    this.#lines.append(message.bytes);
    this.#coordinates.push(coordinate);
    this.#outputs.push(output);
  }

  finish(): Uint8Array {
    const positions = JSON.stringify({ coordinates: this.#coordinates, outputs: this.#outputs });
    return Buffer.concat([Buffer.from(`${positions}\n`, 'utf8'), this.#lines.bytes()]);
  }
}
