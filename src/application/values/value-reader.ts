import { Buffer, isUtf8 } from 'node:buffer';
import { InfrastructureError } from '../../domain/errors.ts';
import { MASKED } from '../../domain/mask.ts';
import { EXT_BIGINT, EXT_DATE, EXT_MASKED, EXT_UNDEFINED, EXT_UTF16, MAX_DEPTH } from './value-writer.ts';

const SHORT_STRING = 24;

/** Reads what `ValueWriter` writes. @throws InfrastructureError `E_FRAME_CORRUPT` for anything else */
export class ValueReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#buffer.length;
  }

  readVarint(): number {
    let value = 0;
    let scale = 1;
    for (let group = 0; group < 8; group++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw corrupt('a number is too long');
  }

  read(depth = 0): unknown {
    if (depth > MAX_DEPTH) throw corrupt('data is nested too deep');
    const tag = this.#byte();
    if (tag < 0x80) return tag;
    if (tag < 0x90) return this.#object(tag & 0x0f, depth);
    if (tag < 0xa0) return this.#array(tag & 0x0f, depth);
    if (tag < 0xc0) return this.#string(tag & 0x1f);
    if (tag >= 0xe0) return tag - 0x100;
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#byte());
      case 0xc5:
        return this.#binary(this.#uint16());
      case 0xc6:
        return this.#binary(this.#uint32());
      case 0xc7:
        return this.#extension(this.#byte());
      case 0xc8:
        return this.#extension(this.#uint16());
      case 0xc9:
        return this.#extension(this.#uint32());
      case 0xcb:
        return this.#buffer.readDoubleBE(this.#advance(8));
      case 0xcc:
        return this.#byte();
      case 0xcd:
        return this.#uint16();
      case 0xce:
        return this.#uint32();
      case 0xd0:
        return this.#buffer.readInt8(this.#advance(1));
      case 0xd1:
        return this.#buffer.readInt16BE(this.#advance(2));
      case 0xd2:
        return this.#buffer.readInt32BE(this.#advance(4));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (tag - 0xd4));
      case 0xd9:
        return this.#string(this.#byte());
      case 0xda:
        return this.#string(this.#uint16());
      case 0xdb:
        return this.#string(this.#uint32());
      case 0xdc:
        return this.#array(this.#uint16(), depth);
      case 0xdd:
        return this.#array(this.#uint32(), depth);
      case 0xde:
        return this.#object(this.#uint16(), depth);
      case 0xdf:
        return this.#object(this.#uint32(), depth);
      default:
        throw corrupt(`0x${tag.toString(16)} is no type`);
    }
  }

  /** Text of so many bytes, without a length of its own. */
  readText(bytes: number): string {
    const start = this.#advance(bytes);
    return this.#utf8(start, start + bytes);
  }

  /** So many bytes, copied. */
  readBytes(bytes: number): ArrayBuffer {
    const start = this.#advance(bytes);
    return new Uint8Array(this.#buffer.subarray(start, start + bytes)).buffer;
  }

  #array(length: number, depth: number): unknown[] {
    // Every item takes a byte: a damaged length must not reserve memory that the bytes cannot fill.
    if (length > this.#buffer.length - this.#at) throw corrupt('a list is cut off');
    const items: unknown[] = [];
    for (let index = 0; index < length; index++) items.push(this.read(depth + 1));
    return items;
  }

  #object(length: number, depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (let index = 0; index < length; index++) {
      const name = this.read(depth + 1);
      if (typeof name !== 'string') throw corrupt('a field has no name');
      setField(object, name, this.read(depth + 1));
    }
    return object;
  }

  #string(length: number): string {
    const start = this.#advance(length);
    const buffer = this.#buffer;
    if (length <= SHORT_STRING) {
      let text = '';
      for (let at = start; at < start + length; at++) {
        const code = buffer[at] as number;
        if (code >= 0x80) return this.#utf8(start, start + length);
        text += String.fromCharCode(code);
      }
      return text;
    }
    return this.#utf8(start, start + length);
  }

  #utf8(start: number, end: number): string {
    const text = this.#buffer.toString('utf8', start, end);
    // Bytes that are not UTF-8 would be replaced silently; the character that replaces them may stand there as well.
    if (text.includes('\ufffd') && !isUtf8(this.#buffer.subarray(start, end)))
      throw corrupt('text is not UTF-8');
    return text;
  }

  #binary(length: number): Uint8Array {
    return new Uint8Array(this.#take(length));
  }

  #extension(length: number): unknown {
    const type = this.#byte();
    const bytes = this.#take(length);
    switch (type) {
      case EXT_BIGINT: {
        const text = bytes.toString('latin1');
        if (!/^-?\d+$/.test(text)) throw corrupt('a bigint is no number');
        return BigInt(text);
      }
      case EXT_DATE:
        if (length !== 8) throw corrupt('a date has another length');
        return new Date(bytes.readDoubleBE());
      case EXT_UTF16:
        return bytes.toString('utf16le');
      case EXT_UNDEFINED:
        return undefined;
      case EXT_MASKED:
        return MASKED;
      default:
        throw corrupt(`extension ${type} is not known`);
    }
  }

  #byte(): number {
    return this.#buffer[this.#advance(1)] as number;
  }

  #uint16(): number {
    return this.#buffer.readUInt16BE(this.#advance(2));
  }

  #uint32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4));
  }

  #take(length: number): Buffer {
    const start = this.#advance(length);
    return this.#buffer.subarray(start, start + length);
  }

  #advance(length: number): number {
    const start = this.#at;
    if (start + length > this.#buffer.length) throw corrupt('it is cut off');
    this.#at = start + length;
    return start;
  }
}

/** Assigning to `__proto__` would set the prototype instead of a field. */
export function setField(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  else object[name] = value;
}

/** @param depth as it was given to `encodeValue` */
export function decodeValue(bytes: Uint8Array, depth = 0): unknown {
  const reader = new ValueReader(bytes);
  const value = reader.read(depth);
  if (!reader.done) throw corrupt('something follows the value');
  return value;
}

function corrupt(why: string): InfrastructureError {
  return new InfrastructureError(`encoded data is damaged: ${why}`, { code: 'E_FRAME_CORRUPT' });
}
