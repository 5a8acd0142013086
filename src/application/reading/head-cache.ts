import type { ObjectBytes } from '../formats/decoder.ts';

/** Formats are told, and headers and marks are found, in the first few bytes: these are fetched once. */
const HEAD_BYTES = 64 * 1024;

/** Keeps an object's first bytes as soon as they have been asked for: a request to the lake costs more than its bytes. */
export function cacheHead(object: ObjectBytes): ObjectBytes {
  let head: Promise<Uint8Array> | undefined;
  return {
    key: object.key,
    size: object.size,
    async *read(start, end) {
      if (start < HEAD_BYTES && end <= HEAD_BYTES) head ??= readHead(object);
      const known = head === undefined ? NOTHING : await head;
      if (start < known.length) yield known.subarray(start, Math.min(end, known.length));
      const rest = Math.max(start, known.length);
      if (rest < end) yield* object.read(rest, end);
    },
  };
}

const NOTHING = new Uint8Array(0);

async function readHead(object: ObjectBytes): Promise<Uint8Array> {
  const head = new Uint8Array(Math.min(HEAD_BYTES, object.size));
  let length = 0;
  for await (const chunk of object.read(0, head.length)) {
    head.set(chunk, length);
    length += chunk.length;
  }
  return head.subarray(0, length);
}
