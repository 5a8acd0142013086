/** Fields and elements nest no deeper than this in any Parquet structure. */
const MAX_DEPTH = 32;
/** A 64-bit number takes at most ten groups of seven bits. */
const MAX_VARINT_BYTES = 10;

const STOP = 0;
const TRUE = 1;
const FALSE = 2;
const BYTE = 3;
const DOUBLE = 7;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/**
 * Walks over a structure in Thrift's compact protocol without making anything of it, and throws where a length is
 * beyond the bytes there are. What parses it afterwards may then trust lengths: it allocates lists of the size that they claim.
 *
 * @returns offset of the byte after it
 * @throws Error
 */
export function checkThrift(bytes: Uint8Array, offset: number): number {
  return skipStruct(bytes, offset, 0);
}

function skipStruct(bytes: Uint8Array, start: number, depth: number): number {
  if (depth > MAX_DEPTH) throw new Error('a structure is nested too deep');
  let offset = start;
  for (;;) {
    const field = byteAt(bytes, offset++);
    if ((field & 0x0f) === STOP) return offset;
    if (field >> 4 === 0) offset = skipVarint(bytes, offset);
    offset = skipValue(bytes, offset, field & 0x0f, depth);
  }
}

function skipValue(bytes: Uint8Array, offset: number, type: number, depth: number): number {
  switch (type) {
    case TRUE:
    case FALSE:
      return offset;
    case BYTE:
      return within(bytes, offset + 1);
    case DOUBLE:
      return within(bytes, offset + 8);
    case BINARY:
      return within(bytes, skipVarint(bytes, offset) + varintAt(bytes, offset));
    case LIST:
      return skipList(bytes, offset, depth);
    case STRUCT:
      return skipStruct(bytes, offset, depth + 1);
    default:
      if (type > BYTE && type < DOUBLE) return skipVarint(bytes, offset);
      throw new Error(`a field of type ${type}`);
  }
}

function skipList(bytes: Uint8Array, start: number, depth: number): number {
  const header = byteAt(bytes, start);
  const isLong = header >> 4 === 15;
  const size = isLong ? varintAt(bytes, start + 1) : header >> 4;
  let offset = isLong ? skipVarint(bytes, start + 1) : start + 1;
  // Every element has at least a byte.
  within(bytes, offset + size);
  const type = header & 0x0f;
  for (let i = 0; i < size; i++) {
    offset = type === TRUE || type === FALSE ? offset + 1 : skipValue(bytes, offset, type, depth + 1);
  }
  return offset;
}

function varintAt(bytes: Uint8Array, start: number): number {
  let value = 0;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = byteAt(bytes, start + i);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw new Error('a number without an end');
}

function skipVarint(bytes: Uint8Array, start: number): number {
  let offset = start;
  while (byteAt(bytes, offset) >= 0x80) {
    offset++;
    if (offset - start === MAX_VARINT_BYTES) throw new Error('a number without an end');
  }
  return offset + 1;
}

function byteAt(bytes: Uint8Array, offset: number): number {
  const byte = bytes[offset];
  if (byte === undefined) throw new Error('a structure without an end');
  return byte;
}

function within(bytes: Uint8Array, offset: number): number {
  if (offset > bytes.length) throw new Error('a length beyond the bytes that there are');
  return offset;
}
