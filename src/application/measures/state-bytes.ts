import { InfrastructureError } from '../../domain/errors.ts';

export function corrupt(reason: string): InfrastructureError {
  return new InfrastructureError(`the state of a group is damaged: ${reason}`, { code: 'E_FRAME_CORRUPT' });
}

const double = new DataView(new ArrayBuffer(8));

/** Reads state bytes; whatever is not there or cannot be is `E_FRAME_CORRUPT`. */
export class StateReader {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw corrupt('it is cut off');
    return this.bytes[this.at++]!;
  }

  /** A whole number from 0 to 2^53 − 1, seven bits a byte, the lowest first. */
  count(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 0x80;
    do {
      byte = this.byte();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (value > Number.MAX_SAFE_INTEGER) throw corrupt('a count is too large');
    } while (byte >= 0x80);
    if (byte === 0) throw corrupt('a count is not in its shortest form');
    return value;
  }

  signed(): number {
    const value = this.count();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Where `length` bytes start, which are passed over. */
  skip(length: number): number {
    const start = this.at;
    if (length > this.bytes.length - start) throw corrupt('it is cut off');
    this.at = start + length;
    return start;
  }

  /** A double of which the first `length` bytes are kept. */
  double(length: number): number {
    if (length > 8) throw corrupt('a number is too long');
    const start = this.skip(length);
    double.setUint32(0, 0);
    double.setUint32(4, 0);
    for (let i = 0; i < length; i++) double.setUint8(i, this.bytes[start + i]!);
    if (length > 0 && this.bytes[this.at - 1] === 0) throw corrupt('a number is not in its shortest form');
    return double.getFloat64(0);
  }

  end(): void {
    if (this.at !== this.bytes.length) throw corrupt('something follows it');
  }
}

/** Collects state bytes; grows as needed and can be used again after `take`. */
export class StateWriter {
  bytes: Uint8Array;
  at = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Room for `length` more bytes at `at`. */
  reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.bytes.length, this.at + length));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
  }

  byte(value: number): void {
    if (this.at === this.bytes.length) this.reserve(1);
    this.bytes[this.at++] = value;
  }

  count(value: number): void {
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt('a count is too large');
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  signed(value: number): void {
    this.count(value < 0 ? -2 * value - 1 : 2 * value);
  }

  copy(from: Uint8Array, start: number, length: number): void {
    this.reserve(length);
    // A loop beats `set` of a `subarray` for the few bytes that most values have.
    if (length <= 32) for (let i = 0; i < length; i++) this.bytes[this.at + i] = from[start + i]!;
    else this.bytes.set(from.subarray(start, start + length), this.at);
    this.at += length;
  }

  /** The first `length` bytes of a double, big-endian: `lengthOfDouble` tells how many are needed. */
  double(value: number, length: number): void {
    double.setFloat64(0, value);
    for (let i = 0; i < length; i++) this.byte(double.getUint8(i));
  }

  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.at);
    this.at = 0;
    return taken;
  }
}

/** Bytes of a double, big-endian, without the zero bytes at its end: 0 for +0, 2 or 3 for a small whole number. */
export function lengthOfDouble(value: number): number {
  double.setFloat64(0, value);
  let length = 8;
  while (length > 0 && double.getUint8(length - 1) === 0) length--;
  return length;
}
