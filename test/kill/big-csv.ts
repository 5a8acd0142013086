import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asCsv, shipments } from '../cli/shipments.ts';

const BLOCK_ROWS = 10_000;
/** Makes a row wide, and leaves its boundaries to the quotes: there are more newlines in rows than between them. */
const PADDING = `\nhandled "as is", line after line:\n${'0123456789 '.repeat(18)}\n`;

/** A CSV file of at least so many bytes, with quoted newlines and quotes in every row. Returns its rows. */
export async function writeBigCsv(file: string, bytes: number): Promise<number> {
  let rows = 0;
  const blocks = function* (): Generator<string> {
    for (let written = 0, block = 0; written < bytes; block++) {
      const those = shipments(BLOCK_ROWS, block).map((row) => ({ ...row, note: row.note + PADDING }));
      const text = asCsv(those);
      const part = block === 0 ? text : text.slice(text.indexOf('\n') + 1);
      rows += those.length;
      written += Buffer.byteLength(part);
      yield part;
    }
  };
  await pipeline(Readable.from(blocks()), createWriteStream(file));
  return rows;
}
