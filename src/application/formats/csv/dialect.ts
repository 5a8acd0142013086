import { isUtf8, type Buffer } from 'node:buffer';
import { DomainError } from '../../../domain/errors.ts';
import type { ReadOptions } from '../decoder.ts';
import { skipByteOrderMark } from '../text/byte-order-mark.ts';
import type { TextSource } from '../text/text-source.ts';
import { TextWindow, WINDOW_BYTES } from '../text/text-window.ts';
import { fill } from '../text/section-reader.ts';
import { FieldScan } from './field-scan.ts';
import { CARRIAGE_RETURN, LINE_FEED, type CsvBytes } from './quote-scan.ts';

/** How one CSV object is written, and what its columns are called. */
export interface CsvDialect {
  readonly bytes: CsvBytes;
  /** All columns, in their order; every name is there once. */
  readonly names: readonly string[];
  /** Byte offset at which rows can start: after byte order mark and header. */
  readonly rowsFrom: number;
}

const CANDIDATES = [',', ';', '\t', '|'];

/**
 * Reads the beginning of the text: delimiter and header.
 *
 * @throws DomainError where the header cannot be read: without it no row can be
 */
export async function readDialect(
  key: string,
  source: TextSource,
  options: ReadOptions,
): Promise<CsvDialect> {
  const window = new TextWindow(source.read(0, WINDOW_BYTES), 0);
  try {
    await skipByteOrderMark(window);
    const beginning = window.position;
    await skipBlankLines(window);
    const bytes = await csvBytes(key, window, options);
    const { header = true } = options.csv ?? {};
    if (typeof header !== 'boolean') return { bytes, names: uniqueNames(header), rowsFrom: beginning };
    const first = await firstRow(window, bytes, options.limits.maxRowBytes);
    if (first === null) return { bytes, names: [], rowsFrom: beginning };
    if (header) return { bytes, names: uniqueNames(first.fields), rowsFrom: first.end };
    return { bytes, names: first.fields.map((_, i) => `column${i + 1}`), rowsFrom: beginning };
  } finally {
    await window.release();
  }
}

async function csvBytes(key: string, window: TextWindow, options: ReadOptions): Promise<CsvBytes> {
  const { quote = '"', multiline = true, delimiter } = options.csv ?? {};
  const quoteByte = quote === false ? null : quote.charCodeAt(0);
  const told = delimiter ?? (/\.tsv(\.\w+)?$/i.test(key) ? '\t' : undefined);
  const delimiterByte =
    told?.charCodeAt(0) ?? (await sniffDelimiter(window, quoteByte, options.limits.maxRowBytes));
  if (delimiterByte === quoteByte) {
    throw new DomainError('source.csv.quote must differ from the delimiter', { code: 'E_PIPELINE_INVALID' });
  }
  return { delimiter: delimiterByte, quote: quoteByte, multiline };
}

/** The candidate that the first line has most of, outside of quotes. */
async function sniffDelimiter(
  window: TextWindow,
  quote: number | null,
  maxRowBytes: number,
): Promise<number> {
  const candidates = CANDIDATES.map((candidate) => candidate.charCodeAt(0)).filter(
    (candidate) => candidate !== quote,
  );
  for (;;) {
    const counts = candidates.map(() => 0);
    let isOpen = false;
    let i = window.start;
    for (; i < window.end; i++) {
      const byte = window.buffer[i] as number;
      if (byte === quote) isOpen = !isOpen;
      if (isOpen) continue;
      if (byte === LINE_FEED || byte === CARRIAGE_RETURN) break;
      const candidate = candidates.indexOf(byte);
      if (candidate !== -1) (counts[candidate] as number)++;
    }
    if (i < window.end || window.ended || window.failure !== undefined || window.held > maxRowBytes) {
      return candidates[counts.indexOf(Math.max(...counts))] as number;
    }
    await fill(window);
  }
}

async function firstRow(
  window: TextWindow,
  bytes: CsvBytes,
  maxRowBytes: number,
): Promise<{ readonly fields: string[]; readonly end: number } | null> {
  const scan = new FieldScan(bytes);
  for (;;) {
    const end =
      window.held === 0 && !window.ended
        ? -1
        : scan.scan(window.buffer, window.start, window.end, window.ended);
    if ((end === -1 ? window.end : end) - window.start > maxRowBytes && scan.problem === null) {
      throw new DomainError('the first row is over limits.maxRowBytes', { code: 'E_ROW_TOO_LARGE' });
    }
    if (end !== -1) {
      if (window.held === 0) return null;
      if (scan.problem !== null) {
        throw new DomainError(
          `the first row has ${scan.problem === 'stray' ? 'a stray' : 'an unclosed'} quote`,
          { code: 'E_CSV_QUOTE' },
        );
      }
      if (!isUtf8(window.buffer.subarray(window.start, end))) {
        throw new DomainError('the first row is not UTF-8', { code: 'E_UTF8' });
      }
      const fields = Array.from({ length: scan.fields }, (_, field) =>
        textOfField(window.buffer, scan, field, bytes.quote),
      );
      return { fields, end: window.positionOf(Math.min(end + 1, window.end)) };
    }
    if (window.failure !== undefined) throw window.failure;
    await fill(window);
  }
}

/** A field's text, whatever is in it; the slow way. */
export function textOfField(buffer: Buffer, scan: FieldScan, field: number, quote: number | null): string {
  const start = scan.starts[field] as number;
  const text = buffer.toString('utf8', start, scan.ends[field]);
  if (quote === null || buffer[start - 1] !== quote) return text;
  // Within quotes a quote is always one of two.
  const mark = String.fromCharCode(quote);
  return text.includes(mark) ? text.replaceAll(mark + mark, () => mark) : text;
}

async function skipBlankLines(window: TextWindow): Promise<void> {
  for (;;) {
    while (window.start < window.end) {
      const byte = window.buffer[window.start];
      if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) return;
      window.start++;
    }
    if (window.ended || window.failure !== undefined) return;
    await fill(window);
  }
}

/** Later columns of the same name get `_2`, `_3`, …, so that none is lost. */
export function uniqueNames(names: readonly string[]): string[] {
  const given = new Set(names);
  const taken = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let n = 2; taken.has(unique) || (unique !== name && given.has(unique)); n++) unique = `${name}_${n}`;
    taken.add(unique);
    return unique;
  });
}
