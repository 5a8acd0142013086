import { Buffer } from 'node:buffer';
import { InfrastructureError } from '../../domain/errors.ts';
import type { MessagesBody } from '../../domain/frame.ts';
import { fromTaggedJson, toTaggedJson } from '../values/tagged-json.ts';
import { ValueWriter } from '../values/value-writer.ts';
import type { EncodedMessage, MessageEncoding, MessagesBodyWriter } from './message-encoding.ts';

interface JsonLine extends EncodedMessage {
  readonly text: string;
}

/** One message a line after a line of positions, for readers that are not Sluice. */
export class JsonLinesEncoding implements MessageEncoding<JsonLine> {
  encode(message: unknown): JsonLine {
    const text = `${toTaggedJson(message)}\n`;
    return { text, size: Buffer.byteLength(text, 'utf8') };
  }

  measure({ size }: JsonLine): number {
    return size;
  }

  startBody(): MessagesBodyWriter<JsonLine> {
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

class JsonLinesBodyWriter implements MessagesBodyWriter<JsonLine> {
  readonly #lines = new ValueWriter();
  readonly #coordinates: number[] = [];
  readonly #outputs: number[] = [];

  get count(): number {
    return this.#coordinates.length;
  }

  get size(): number {
    return this.#lines.length + 16 * this.#coordinates.length;
  }

  add({ text, size }: JsonLine, coordinate: number, output: number): void {
    this.#lines.appendUtf8(text, size);
    this.#coordinates.push(coordinate);
    this.#outputs.push(output);
  }

  finish(): Uint8Array {
    const positions = JSON.stringify({ coordinates: this.#coordinates, outputs: this.#outputs });
    return Buffer.concat([Buffer.from(`${positions}\n`, 'utf8'), this.#lines.bytes()]);
  }
}
