import { Buffer } from 'node:buffer';

/** What a window holds at once where records are small. Bigger blocks of text are slower: V8 puts them into another heap. */
export const WINDOW_BYTES = 64 * 1024;

const LINE_FEED = 0x0a;

/** Behind `end`: the line feed, and what else a word of four bytes that starts there reaches. */
export const GUARD_BYTES = 4;

/**
 * A stretch of text that slides over its stream. Readers take bytes from `start`; what they leave is kept when it is
 * filled up, and it grows only while one record does not fit. The byte at `end` is always a line feed, so that a loop
 * over bytes may stop there without looking at the index.
 */
export class TextWindow {
  /** Valid between `start` and `end`, until the next `fill`. */
  buffer: Buffer = Buffer.allocUnsafe(WINDOW_BYTES + GUARD_BYTES);
  /** The buffer, to read words from; they may begin up to `end`. */
  words: DataView = wordsOf(this.buffer);
  start = 0;
  end = 0;
  /** Whether the text ends at `end`. */
  ended = false;
  /** Counts the fills, for what is worked out once for each. */
  fills = 0;
  /** Why the stream stopped, where it broke off. */
  failure: unknown;
  /** Byte offset of `buffer[0]` in the text. */
  #offset: number;
  #pending: Uint8Array = Buffer.alloc(0);
  readonly #chunks: AsyncIterator<Uint8Array>;

  /** @param position byte offset in the text at which the chunks begin */
  constructor(chunks: AsyncIterable<Uint8Array>, position: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#offset = position;
  }

  /** Byte offset of `start` in the text. */
  get position(): number {
    return this.#offset + this.start;
  }

  get held(): number {
    return this.end - this.start;
  }

  /** Where a byte offset in the text lies in `buffer`; may be beyond `end`. */
  indexOf(position: number): number {
    return position - this.#offset;
  }

  /** Byte offset in the text of an index of `buffer`. */
  positionOf(index: number): number {
    return this.#offset + index;
  }

  /** Holds at least so many bytes, or fewer because the text ended (`ended`) or broke off (`failure`). Bytes before `start` are gone. */
  async fill(bytes: number): Promise<void> {
    this.#makeRoom(bytes);
    while (this.held < bytes && !this.ended && this.failure === undefined) {
      if (this.#pending.length === 0) await this.#pull();
      const room = this.buffer.length - GUARD_BYTES - this.end;
      const taken = this.#pending.subarray(0, room);
      this.buffer.set(taken, this.end);
      this.end += taken.length;
      this.#pending = this.#pending.subarray(taken.length);
    }
    this.buffer[this.end] = LINE_FEED;
    this.fills++;
  }

  /** Moves `start` on to a byte offset; to the text's end where it ends before that. */
  async skipTo(position: number): Promise<void> {
    while (this.position < position) {
      this.start += Math.min(this.held, position - this.position);
      if (this.position === position || this.ended || this.failure !== undefined) return;
      await this.fill(1);
    }
  }

  /** Closes the stream; to be called always. */
  async release(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #pull(): Promise<void> {
    try {
      const next = await this.#chunks.next();
      if (next.done === true) this.ended = true;
      else this.#pending = next.value;
    } catch (thrown) {
      this.failure = thrown;
    }
  }

  #makeRoom(bytes: number): void {
    const capacity = Math.max(WINDOW_BYTES, bytes, this.held) + GUARD_BYTES;
    // A window that one huge record made big shrinks again.
    const target = this.buffer.length === capacity ? this.buffer : Buffer.allocUnsafe(capacity);
    this.buffer.copy(target, 0, this.start, this.end);
    this.#offset += this.start;
    this.end -= this.start;
    this.start = 0;
    if (target === this.buffer) return;
    this.buffer = target;
    this.words = wordsOf(target);
  }
}

function wordsOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
