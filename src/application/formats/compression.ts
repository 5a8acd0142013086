import type { Buffer } from 'node:buffer';
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import { DomainError, messageOf } from '../../domain/errors.ts';
import type { Compression } from '../../domain/pipeline.ts';

/** Stored bytes from an offset to the object's end. */
export type StoredBytes = (start: number) => AsyncIterable<Uint8Array>;

/** Stored bytes that are given to the decompressor at once. */
const BLOCK_BYTES = 16 * 1024;

/** Decompressed bytes that are held at once, whatever the ratio. */
const OUTPUT_BYTES = 64 * 1024;

/**
 * The decompressed bytes, in chunks of at most about 128 KiB, made as they are asked for: the decompressor waits while the consumer
 * does. Gzip may have many members and zero bytes after them, zstd many frames, skippable ones too. An object of no bytes is an
 * empty text under every compression.
 *
 * Where the stream is damaged or cut off, everything that can be decompressed before that place comes first: exactly
 * the same bytes however the stored bytes were chunked.
 *
 * @throws DomainError `E_COMPRESSED_CORRUPT` after the last good byte
 */
export async function* decompressed(
  compression: Exclude<Compression, 'none'>,
  stored: StoredBytes,
): AsyncGenerator<Uint8Array> {
  let delivered = 0;
  let damage: Damage;
  try {
    for await (const chunk of inflated(compression, stored(0), Infinity)) {
      delivered += chunk.length;
      yield chunk;
    }
    return;
  } catch (thrown) {
    if (!(thrown instanceof Damage)) throw thrown;
    damage = thrown;
  }
  // What a block decompresses to before its damaged byte is lost with the block: give it again byte by byte.
  if (damage.block !== null) {
    let again = 0;
    try {
      for await (const chunk of inflated(compression, stored(0), damage.block)) {
        const known = Math.min(chunk.length, Math.max(0, delivered - again));
        again += chunk.length;
        if (known < chunk.length) yield chunk.subarray(known);
      }
    } catch (thrown) {
      if (!(thrown instanceof Damage)) throw thrown;
    }
  }
  throw new DomainError(`the ${compression} stream is damaged or cut off: ${messageOf(damage.cause)}`, {
    code: 'E_COMPRESSED_CORRUPT',
    cause: damage.cause,
  });
}

/** The decompressor refused; `block` is the stored offset of the block that it was given, `null` where the stream just stopped. */
class Damage extends Error {
  readonly block: number | null;

  constructor(block: number | null, cause: unknown) {
    super('damaged', { cause });
    this.block = block;
  }
}

/** @param singlyFrom stored offset from which bytes are given one by one */
async function* inflated(
  compression: Exclude<Compression, 'none'>,
  stored: AsyncIterable<Uint8Array>,
  singlyFrom: number,
): AsyncGenerator<Uint8Array> {
  let member: Member | undefined;
  try {
    let begun = false;
    for await (const { offset, bytes } of blocks(stored, singlyFrom)) {
      let block = bytes;
      while (block.length > 0) {
        if (member === undefined) {
          // Zero bytes after a member are padding, as tapes and block devices leave it.
          if (compression === 'gzip' && begun) block = withoutLeadingZeros(block);
          if (block.length === 0) break;
          member = new Member(compression);
          begun = true;
        }
        try {
          yield* member.write(block);
        } catch (thrown) {
          throw new Damage(offset, thrown);
        }
        // A decompressor that leaves bytes is at the end of its member (frame): the next one takes them.
        block = block.subarray(block.length - member.left);
        if (block.length > 0) {
          member.release();
          member = undefined;
        }
      }
    }
    if (member !== undefined) {
      try {
        yield* member.end();
      } catch (thrown) {
        throw new Damage(null, thrown);
      }
    }
  } finally {
    member?.release();
  }
}

async function* blocks(
  stored: AsyncIterable<Uint8Array>,
  singlyFrom: number,
): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }> {
  let offset = 0;
  for await (const chunk of stored) {
    for (let from = 0; from < chunk.length;) {
      const length = offset < singlyFrom ? Math.min(BLOCK_BYTES, singlyFrom - offset) : 1;
      const bytes = chunk.subarray(from, from + length);
      yield { offset, bytes };
      from += bytes.length;
      offset += bytes.length;
    }
  }
}

function withoutLeadingZeros(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? bytes.subarray(bytes.length) : bytes.subarray(first);
}

/** One decompressor: a gzip member or zstd frame, and those that follow on it at block boundaries. */
class Member {
  readonly #stream: Gunzip | ZstdDecompress;
  #given = 0;
  #failure: unknown;
  #ended = false;
  #wake: () => void = () => {};

  constructor(compression: Exclude<Compression, 'none'>) {
    const options = { chunkSize: OUTPUT_BYTES, highWaterMark: OUTPUT_BYTES };
    this.#stream = compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options);
    this.#stream.on('readable', () => this.#wake());
    this.#stream.on('end', () => {
      this.#ended = true;
      this.#wake();
    });
    this.#stream.on('error', (error) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** Bytes of what was written that do not belong to this member. */
  get left(): number {
    return this.#given - this.#stream.bytesWritten;
  }

  async *write(block: Uint8Array): AsyncGenerator<Uint8Array> {
    this.#given += block.length;
    let taken = false;
    this.#stream.write(block, () => {
      taken = true;
      this.#wake();
    });
    yield* this.#output(() => taken || this.#ended);
  }

  async *end(): AsyncGenerator<Uint8Array> {
    this.#stream.end();
    yield* this.#output(() => this.#ended);
  }

  release(): void {
    this.#stream.destroy();
  }

  async *#output(isDone: () => boolean): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#stream.read() as Buffer | null;
      if (chunk !== null) {
        yield chunk;
        continue;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (isDone()) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
