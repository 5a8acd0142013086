import { Buffer } from 'node:buffer';

/** Whole lines of a pipe, or a line that was too long to be held. */
export type PipeBlock =
  | { readonly kind: 'lines'; readonly bytes: Uint8Array; readonly offset: number }
  | { readonly kind: 'too-large'; readonly length: number; readonly offset: number };

const LINE_FEED = 0x0a;

/**
 * Cuts a pipe after the last newline of whatever has arrived: a message is on its way as soon as its line is there,
 * however slowly others follow. Of a line over `maxLineBytes` nothing more is held.
 *
 * @param isTorn asked at the end: whether the pipe was torn off, so that what follows the last newline is no line
 */
export async function* pipeBlocks(
  input: AsyncIterable<Uint8Array>,
  maxLineBytes: number,
  isTorn: () => boolean = () => false,
): AsyncGenerator<PipeBlock> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let dropped = 0;
  let offset = 0;
  const take = (): Uint8Array => {
    const bytes = held.length === 1 ? (held[0] as Uint8Array) : Buffer.concat(held);
    held = [];
    heldBytes = 0;
    return bytes;
  };
  for await (const chunk of input) {
    let rest = chunk;
    if (dropped > 0 || heldBytes + chunk.length > maxLineBytes) {
      // Only here the first line of the chunk matters by itself: it may end one that is too long.
      const end = rest.indexOf(LINE_FEED);
      const first = end === -1 ? rest : rest.subarray(0, end + 1);
      if (dropped > 0 || heldBytes + first.length > maxLineBytes) {
        dropped += heldBytes + first.length;
        held = [];
        heldBytes = 0;
        rest = rest.subarray(first.length);
        if (end === -1) continue;
        yield { kind: 'too-large', length: dropped, offset };
        offset += dropped;
        dropped = 0;
      }
    }
    const last = rest.lastIndexOf(LINE_FEED);
    if (last >= 0) {
      held.push(rest.subarray(0, last + 1));
      const bytes = take();
      yield { kind: 'lines', bytes, offset };
      offset += bytes.length;
    }
    if (last + 1 < rest.length) {
      held.push(rest.subarray(last + 1));
      heldBytes += rest.length - last - 1;
    }
  }
  if (isTorn()) return;
  if (dropped > 0) yield { kind: 'too-large', length: dropped, offset };
  else if (held.length > 0) yield { kind: 'lines', bytes: take(), offset };
}
