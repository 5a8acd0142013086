import type { Decoder, ReadOptions } from '../decoder.ts';
import { createRowShaper, type RowShaper } from '../row-shaper.ts';
import { describeRows } from '../text/describe.ts';
import { readAtCoordinates } from '../text/point-reader.ts';
import { fill, readSections } from '../text/section-reader.ts';
import { openText, type TextSource } from '../text/text-source.ts';
import { TextWindow } from '../text/text-window.ts';
import { rowsBegin } from './json-lines-decoder.ts';
import { isWhiteSpace, JsonReader, OPENING_BRACE, OPENING_BRACKET, type TopLevel } from './json-reader.ts';

/** One big JSON array, or a single object: what can only be read from its start. */
export const jsonDecoder: Decoder = {
  format: 'json',

  layout: () => Promise.resolve({ lastSection: null, splittable: false, groupStarts: null }),

  async *read(object, range, start, options, signal) {
    const source = await openText(object, options, signal);
    const shaper = createRowShaper(options);
    const rowsFrom = await rowsBegin(source);
    const from = Math.max(start ?? 0, rowsFrom);
    yield* readSections({
      source,
      reader: jsonReader(
        shaper,
        options,
        from > rowsFrom ? await topLevelBefore(source, rowsFrom, from) : null,
      ),
      shaper,
      sectionBytes: options.limits.sectionBytes,
      range,
      start: from,
    });
  },

  async *readAt(object, coordinates, options, signal) {
    const source = await openText(object, options, signal);
    const shaper = createRowShaper({ ...options, where: undefined });
    const topLevel = await topLevelBefore(source, await rowsBegin(source), Infinity);
    yield* readAtCoordinates({
      source,
      coordinates,
      shaper,
      sectionBytes: options.limits.sectionBytes,
      newReader: () => jsonReader(shaper, options, topLevel),
      // Only reading from the start would tell; a failure's coordinate comes from there.
      startsRow: (_position, _before, byte) => byte === OPENING_BRACE,
    });
  },

  // oxlint-disable-next-line require-yield -- it is never splittable
  async *findStarts() {
    throw new TypeError('a JSON array can only be read from its start');
  },

  async describe(object, options, signal) {
    const { compression } = await openText(object, options, signal);
    const columns = await describeRows(jsonDecoder, object, { ...options, compression }, signal);
    return { format: 'json', compression, columns, rows: null, facts: {} };
  },
};

function jsonReader(shaper: RowShaper, options: ReadOptions, within: TopLevel | null): JsonReader {
  return new JsonReader({ columns: shaper.neededColumns, maxRowBytes: options.limits.maxRowBytes }, within);
}

/** What begins before a position; `null` where only white space does. */
async function topLevelBefore(
  source: TextSource,
  rowsFrom: number,
  position: number,
): Promise<TopLevel | null> {
  const window = new TextWindow(source.read(rowsFrom, rowsFrom), rowsFrom);
  try {
    for (;;) {
      while (window.held > 0 && isWhiteSpace(window.buffer[window.start] as number)) window.start++;
      if (window.position >= position) return null;
      if (window.held > 0) return window.buffer[window.start] === OPENING_BRACKET ? 'array' : 'row';
      if (window.failure !== undefined) throw window.failure;
      if (window.ended) return 'array';
      await fill(window);
    }
  } finally {
    await window.release();
  }
}
