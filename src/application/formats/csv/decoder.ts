import { layoutOfText } from '../../../domain/section.ts';
import type { Decoder, ReadOptions } from '../decoder.ts';
import { createRowShaper, type RowShaper } from '../row-shaper.ts';
import { describeRows } from '../text/describe.ts';
import { readAtCoordinates } from '../text/point-reader.ts';
import { fill, readSections } from '../text/section-reader.ts';
import { openText, type TextSource } from '../text/text-source.ts';
import { TextWindow } from '../text/text-window.ts';
import { CsvReader } from './csv-reader.ts';
import { readDialect, type CsvDialect } from './dialect.ts';
import { LINE_START, QuoteScan, type QuoteState } from './quote-scan.ts';

export const csvDecoder: Decoder = {
  format: 'csv',

  async layout(object, options, signal) {
    const { size } = await openText(object, options, signal);
    return layoutOfText(size, options.limits.sectionBytes);
  },

  async *read(object, range, start, options, signal) {
    const source = await openText(object, options, signal);
    const dialect = await readDialect(object.key, source, options);
    const shaper = createRowShaper(options);
    yield* readSections({
      source,
      reader: csvReader(dialect, shaper, options),
      shaper,
      sectionBytes: options.limits.sectionBytes,
      range,
      start: Math.max(start ?? 0, dialect.rowsFrom),
    });
  },

  async *readAt(object, coordinates, options, signal) {
    const source = await openText(object, options, signal);
    const dialect = await readDialect(object.key, source, options);
    const shaper = createRowShaper({ ...options, where: undefined });
    yield* readAtCoordinates({
      source,
      coordinates,
      shaper,
      sectionBytes: options.limits.sectionBytes,
      newReader: () => csvReader(dialect, shaper, options),
      startsRow: (position, before, byte) =>
        position >= dialect.rowsFrom &&
        !isNewline(byte) &&
        (position === dialect.rowsFrom || isNewline(before)),
    });
  },

  async *findStarts(object, sections, options, signal) {
    const source = await openText(object, options, signal);
    const dialect = await readDialect(object.key, source, options);
    const boundaries = sections.map((section) =>
      Math.max(section * options.limits.sectionBytes, dialect.rowsFrom),
    );
    const { quote, multiline } = dialect.bytes;
    const scan = new QuoteScan(dialect.bytes);
    const starts =
      quote !== null && multiline
        ? scannedStarts(source, boundaries, scan, dialect.rowsFrom)
        : localStarts(source, boundaries, scan, dialect.rowsFrom);
    let i = 0;
    for await (const start of starts) yield { section: sections[i++] as number, start };
  },

  async describe(object, options, signal) {
    const source = await openText(object, options, signal);
    const { bytes, names } = await readDialect(object.key, source, options);
    return {
      format: 'csv',
      compression: source.compression,
      columns: await describeRows(
        csvDecoder,
        object,
        { ...options, compression: source.compression },
        signal,
        names,
      ),
      rows: null,
      facts: { delimiter: String.fromCharCode(bytes.delimiter) },
    };
  },
};

function csvReader(dialect: CsvDialect, shaper: RowShaper, options: ReadOptions): CsvReader {
  // Without any row there is no header that could lack a column.
  if (dialect.names.length > 0) shaper.requireColumns(dialect.names, true);
  return new CsvReader({
    dialect,
    columns: shaper.neededColumns ?? dialect.names,
    types: options.columns,
    ragged: options.csv?.ragged ?? 'fail',
    maxRowBytes: options.limits.maxRowBytes,
  });
}

/** Quoted fields may hold newlines: whether a quote is open at a boundary depends on all that is before it. */
async function* scannedStarts(
  source: TextSource,
  boundaries: readonly number[],
  scan: QuoteScan,
  rowsFrom: number,
): AsyncGenerator<number> {
  const window = new TextWindow(source.read(rowsFrom, boundaries.at(-1)), rowsFrom);
  let state: QuoteState = LINE_START;
  try {
    for (const boundary of boundaries) {
      // `scan` may have gone past it on the way to the row before: then the same row is the first after both.
      while (window.position < boundary && !hasEnded(window)) {
        const to = Math.min(window.end, window.indexOf(boundary));
        state = scan.advance(window.buffer, window.start, to, state);
        window.start = to;
        if (window.position < boundary) await fill(window);
      }
      while (state !== LINE_START && !hasEnded(window)) {
        const found = scan.toLineStart(window.buffer, window.start, window.end, state);
        state = found.state;
        window.start = found.index === -1 ? window.end : found.index;
        if (state !== LINE_START) await fill(window);
      }
      yield window.position;
    }
  } finally {
    await window.release();
  }
}

/** A newline ends a row whatever stands before it: only the boundary's surroundings have to be read. */
async function* localStarts(
  source: TextSource,
  boundaries: readonly number[],
  scan: QuoteScan,
  rowsFrom: number,
): AsyncGenerator<number> {
  for (const boundary of boundaries) {
    if (boundary === rowsFrom) yield boundary;
    else yield* localStart(source, boundary, scan);
  }
}

async function* localStart(source: TextSource, boundary: number, scan: QuoteScan): AsyncGenerator<number> {
  const window = new TextWindow(source.read(boundary - 1, boundary), boundary - 1);
  let state: QuoteState = LINE_START;
  try {
    do {
      if (window.held === 0) await fill(window);
      const found = scan.toLineStart(window.buffer, window.start, window.end, state);
      state = found.state;
      window.start = found.index === -1 ? window.end : found.index;
      if (found.index !== -1) break;
    } while (!hasEnded(window));
    yield window.position;
  } finally {
    await window.release();
  }
}

/** Whether nothing is held and nothing will come; what broke off is thrown. */
function hasEnded(window: TextWindow): boolean {
  if (window.held > 0) return false;
  if (window.failure !== undefined) throw window.failure;
  return window.ended;
}

function isNewline(byte: number | undefined): boolean {
  return byte === 0x0a || byte === 0x0d;
}
