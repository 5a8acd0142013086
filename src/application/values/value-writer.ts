import { Buffer } from 'node:buffer';
import { types } from 'node:util';
import { DomainError } from '../../domain/errors.ts';
import { MASKED } from '../../domain/mask.ts';

/** Extension types, beside what MessagePack has. */
export const EXT_BIGINT = 1;
export const EXT_DATE = 2;
export const EXT_UTF16 = 3;
export const EXT_UNDEFINED = 4;
export const EXT_MASKED = 5;

/** Deeper nesting is refused: it would end in a stack overflow somewhere on its way. */
export const MAX_DEPTH = 100;

/** The tag of an extension with 8 bytes. */
const FIXED_EXTENSION_8 = 0xd7;

const SHORT_STRING = 48;
const INITIAL_BYTES = 4096;
const LEAST_BYTES = 64;
const NOTHING = Buffer.alloc(0);

/**
 * Writes plain data as MessagePack, always the shortest form, so that equal values have equal bytes. What
 * MessagePack does not have travels as an extension: bigints (decimal text), dates (double, ms), strings with lone surrogates
 * (UTF-16, little end first), `undefined` in a list, what is masked in a failure. `-0` is written as `0`; fields that are `undefined` are left out.
 *
 * A general MessagePack library refuses large bigints, replaces lone surrogates and turns instances of classes
 * into maps; messages must arrive as they were sent or be refused.
 *
 * @throws DomainError `E_MESSAGE_UNSUPPORTED` from `write`; what was written of that value must then be cut off
 */
export class ValueWriter {
  #buffer: Buffer;
  #length = 0;

  /** @param bytes room at first; it grows. 0 costs nothing */
  constructor(bytes = INITIAL_BYTES) {
    this.#buffer = bytes === 0 ? NOTHING : Buffer.allocUnsafeSlow(bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** How many bytes it can hold before it grows. */
  get room(): number {
    return this.#buffer.length;
  }

  /** What is written so far; valid until the next write. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Forgets everything after `length`. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Takes the bytes out; the writer is empty then. */
  take(): Uint8Array {
    const taken = Buffer.from(this.bytes());
    this.#length = 0;
    return taken;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /**
   * Appends the characters of well-formed text alone, without a length.
   *
   * @param atMost how many bytes it has, or an upper bound; default: the bound that every text has
   * @returns how many bytes it has
   */
  appendUtf8(text: string, atMost = 3 * text.length): number {
    this.#reserve(atMost);
    const bytes = this.#buffer.write(text, this.#length, 'utf8');
    this.#length += bytes;
    return bytes;
  }

  /** An unsigned whole number up to 2^53 − 1 in groups of 7 bits, lowest first (LEB128). */
  writeVarint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  write(value: unknown, depth = 0): void {
    switch (typeof value) {
      case 'string':
        return this.#writeString(value);
      case 'number':
        return this.#writeNumber(value);
      case 'boolean':
        return this.#writeByte(value ? 0xc3 : 0xc2);
      case 'bigint':
        return this.#writeExtension(EXT_BIGINT, Buffer.from(value.toString(), 'latin1'));
      case 'undefined':
        return this.#writeExtension(EXT_UNDEFINED, new Uint8Array(1));
      case 'object':
        return value === null ? this.#writeByte(0xc0) : this.#writeObject(value, depth);
      default:
        throw unsupported(`a ${typeof value}`);
    }
  }

  #writeObject(value: object, depth: number): void {
    if (depth >= MAX_DEPTH) throw unsupported(`data nested deeper than ${MAX_DEPTH} levels, or a cycle`);
    if (Array.isArray(value)) {
      this.#writeHeader(value.length, 0x90, 15, 0xdc, 0xdd);
      // Not by its iterator: a list may bring one of its own, that gives another number of items.
      for (let index = 0; index < value.length; index++) this.write(value[index], depth + 1);
      return;
    }
    if (isPlainObject(value)) {
      const fields = definedFields(value);
      this.#writeHeader(fields.length, 0x80, 15, 0xde, 0xdf);
      for (const name of fields) {
        this.#writeString(name);
        this.write((value as Record<string, unknown>)[name], depth + 1);
      }
      return;
    }
    if (types.isDate(value)) return this.#writeDate(value);
    if (types.isUint8Array(value)) return this.#writeBinary(value);
    if (value === MASKED) return this.#writeExtension(EXT_MASKED, new Uint8Array(1));
    throw unsupported(`an instance of ${value.constructor?.name ?? 'a class'}`);
  }

  #writeByte(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = byte;
  }

  #writeNumber(value: number): void {
    this.#reserve(9);
    const buffer = this.#buffer;
    if (Number.isInteger(value) && value >= -0x8000_0000 && value <= 0xffff_ffff) {
      if (value >= 0) {
        if (value < 0x80) buffer[this.#length++] = value;
        else if (value < 0x100) this.#length = buffer.writeUInt8(value, (this.#tag(0xcc), this.#length));
        else if (value < 0x1_0000)
          this.#length = buffer.writeUInt16BE(value, (this.#tag(0xcd), this.#length));
        else this.#length = buffer.writeUInt32BE(value, (this.#tag(0xce), this.#length));
      } else if (value >= -0x20) buffer[this.#length++] = value & 0xff;
      else if (value >= -0x80) this.#length = buffer.writeInt8(value, (this.#tag(0xd0), this.#length));
      else if (value >= -0x8000) this.#length = buffer.writeInt16BE(value, (this.#tag(0xd1), this.#length));
      else this.#length = buffer.writeInt32BE(value, (this.#tag(0xd2), this.#length));
      return;
    }
    this.#tag(0xcb);
    // NaN has many bit patterns; equal values must have equal bytes.
    this.#length = buffer.writeDoubleBE(Number.isNaN(value) ? Number.NaN : value, this.#length);
  }

  #tag(tag: number): void {
    this.#buffer[this.#length++] = tag;
  }

  #writeString(text: string): void {
    const { length } = text;
    if (length <= SHORT_STRING && this.#writeShortAscii(text)) return;
    if (!text.isWellFormed()) return this.#writeExtension(EXT_UTF16, Buffer.from(text, 'utf16le'));
    const bytes = Buffer.byteLength(text, 'utf8');
    this.#reserve(5 + bytes);
    if (bytes < 32) this.#tag(0xa0 | bytes);
    else if (bytes < 0x100) this.#length = this.#buffer.writeUInt8(bytes, (this.#tag(0xd9), this.#length));
    else if (bytes < 0x1_0000)
      this.#length = this.#buffer.writeUInt16BE(bytes, (this.#tag(0xda), this.#length));
    else this.#length = this.#buffer.writeUInt32BE(bytes, (this.#tag(0xdb), this.#length));
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
  }

  /** Most fields are short and ASCII: a loop is quicker than a call into native code. `false`: not ASCII, nothing written. */
  #writeShortAscii(text: string): boolean {
    const { length } = text;
    this.#reserve(length + 2);
    const buffer = this.#buffer;
    let at = this.#length;
    if (length < 32) buffer[at++] = 0xa0 | length;
    else {
      buffer[at++] = 0xd9;
      buffer[at++] = length;
    }
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code >= 0x80) return false;
      buffer[at++] = code;
    }
    this.#length = at;
    return true;
  }

  #writeBinary(bytes: Uint8Array): void {
    this.#reserve(5);
    const { length } = bytes;
    if (length < 0x100) this.#length = this.#buffer.writeUInt8(length, (this.#tag(0xc4), this.#length));
    else if (length < 0x1_0000)
      this.#length = this.#buffer.writeUInt16BE(length, (this.#tag(0xc5), this.#length));
    else this.#length = this.#buffer.writeUInt32BE(length, (this.#tag(0xc6), this.#length));
    this.append(bytes);
  }

  #writeDate(date: Date): void {
    this.#reserve(10);
    const time = date.getTime();
    this.#tag(FIXED_EXTENSION_8);
    this.#tag(EXT_DATE);
    this.#length = this.#buffer.writeDoubleBE(Number.isNaN(time) ? Number.NaN : time, this.#length);
  }

  #writeExtension(type: number, bytes: Uint8Array): void {
    this.#reserve(6);
    const fixed = [1, 2, 4, 8, 16].indexOf(bytes.length);
    if (fixed >= 0) this.#tag(0xd4 + fixed);
    else if (bytes.length < 0x100)
      this.#length = this.#buffer.writeUInt8(bytes.length, (this.#tag(0xc7), this.#length));
    else if (bytes.length < 0x1_0000)
      this.#length = this.#buffer.writeUInt16BE(bytes.length, (this.#tag(0xc8), this.#length));
    else this.#length = this.#buffer.writeUInt32BE(bytes.length, (this.#tag(0xc9), this.#length));
    this.#tag(type);
    this.append(bytes);
  }

  #writeHeader(count: number, fixed: number, fixedMax: number, tag16: number, tag32: number): void {
    this.#reserve(5);
    if (count <= fixedMax) this.#tag(fixed | count);
    else if (count < 0x1_0000)
      this.#length = this.#buffer.writeUInt16BE(count, (this.#tag(tag16), this.#length));
    else this.#length = this.#buffer.writeUInt32BE(count, (this.#tag(tag32), this.#length));
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    // Small ones are cut out of a buffer that Node shares, which is cheaper.
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2, LEAST_BYTES));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A pipeline's objects may come from another realm (a worker, a vm): theirs is not our Object.prototype.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** The names of an object's own fields that hold something, in their order. */
export function definedFields(value: object): string[] {
  const names = Object.keys(value);
  for (const name of names) {
    if ((value as Record<string, unknown>)[name] === undefined) {
      return names.filter((field) => (value as Record<string, unknown>)[field] !== undefined);
    }
  }
  return names;
}

function unsupported(what: string): DomainError {
  return new DomainError(`a message cannot hold ${what}`, { code: 'E_MESSAGE_UNSUPPORTED' });
}

/**
 * One value by itself.
 *
 * @param depth at which level it stands; below 0 for what wraps a message
 */
export function encodeValue(value: unknown, depth = 0): Uint8Array {
  const writer = scratch;
  try {
    writer.write(value, depth);
    return writer.take();
  } finally {
    if (writer.length > 0 || writer.room > MAX_SCRATCH) scratch = new ValueWriter();
  }
}

/** Its buffer lies outside of V8's heap: one for each small value makes V8 collect. No value's own code writes while one is written. */
let scratch = new ValueWriter();
const MAX_SCRATCH = 1024 * 1024;
