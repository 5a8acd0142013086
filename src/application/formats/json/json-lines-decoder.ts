import { layoutOfText } from '../../../domain/section.ts';
import type { Decoder, ReadOptions } from '../decoder.ts';
import { createRowShaper, type RowShaper } from '../row-shaper.ts';
import { skipByteOrderMark } from '../text/byte-order-mark.ts';
import { describeRows } from '../text/describe.ts';
import { readAtCoordinates } from '../text/point-reader.ts';
import { fill, readSections } from '../text/section-reader.ts';
import { openText, type TextSource } from '../text/text-source.ts';
import { TextWindow } from '../text/text-window.ts';
import { JsonLinesReader } from './json-lines-reader.ts';

const LINE_FEED = 0x0a;

export const jsonLinesDecoder: Decoder = {
  format: 'jsonl',

  async layout(object, options, signal) {
    const { size } = await openText(object, options, signal);
    return layoutOfText(size, options.limits.sectionBytes);
  },

  async *read(object, range, start, options, signal) {
    const source = await openText(object, options, signal);
    const shaper = createRowShaper(options);
    yield* readSections({
      source,
      reader: jsonLinesReader(shaper, options),
      shaper,
      sectionBytes: options.limits.sectionBytes,
      range,
      start: start !== null && start > 0 ? start : await rowsBegin(source),
    });
  },

  async *readAt(object, coordinates, options, signal) {
    const source = await openText(object, options, signal);
    const shaper = createRowShaper({ ...options, where: undefined });
    const rowsFrom = await rowsBegin(source);
    yield* readAtCoordinates({
      source,
      coordinates,
      shaper,
      sectionBytes: options.limits.sectionBytes,
      newReader: () => jsonLinesReader(shaper, options),
      startsRow: (position, before, byte) =>
        position === rowsFrom || (position > rowsFrom && before === LINE_FEED && byte !== LINE_FEED),
    });
  },

  async *findStarts(object, sections, options, signal) {
    const source = await openText(object, options, signal);
    const rowsFrom = await rowsBegin(source);
    for (const section of sections) {
      const boundary = section * options.limits.sectionBytes;
      yield { section, start: boundary <= rowsFrom ? rowsFrom : await lineStart(source, boundary) };
    }
  },

  async describe(object, options, signal) {
    const { compression } = await openText(object, options, signal);
    const columns = await describeRows(jsonLinesDecoder, object, { ...options, compression }, signal);
    return { format: 'jsonl', compression, columns, rows: null, facts: {} };
  },
};

function jsonLinesReader(shaper: RowShaper, options: ReadOptions): JsonLinesReader {
  return new JsonLinesReader({ columns: shaper.neededColumns, maxRowBytes: options.limits.maxRowBytes });
}

/** Byte offset at which rows can start: a byte order mark is no part of the first one. */
export async function rowsBegin(source: TextSource): Promise<number> {
  const window = new TextWindow(source.read(0, 0), 0);
  try {
    await skipByteOrderMark(window);
    return window.position;
  } finally {
    await window.release();
  }
}

async function lineStart(source: TextSource, boundary: number): Promise<number> {
  const window = new TextWindow(source.read(boundary - 1, boundary), boundary - 1);
  try {
    for (;;) {
      if (window.held === 0) await fill(window);
      if (window.held === 0 && window.failure !== undefined) throw window.failure;
      const feed = window.buffer.indexOf(LINE_FEED, window.start);
      const isFound = feed < window.end;
      window.start = isFound ? feed + 1 : window.end;
      if (isFound || window.ended) return window.position;
    }
  } finally {
    await window.release();
  }
}
