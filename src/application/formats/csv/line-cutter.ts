import { Buffer } from 'node:buffer';
import type { ColumnType } from '../../../domain/columns.ts';
import { decimalIn } from '../../../domain/decimal.ts';
import { timeIn } from '../../../domain/iso-time.ts';
import type { Row } from '../../../domain/row.ts';
import { codeOf } from '../../generated-code.ts';
import { generateRowMaker } from '../row-factory.ts';
import { GUARD_BYTES } from '../text/text-window.ts';
import { CARRIAGE_RETURN, LINE_FEED, type CsvBytes } from './quote-scan.ts';

/** Where the row that was cut ends: index of its newline. */
export interface LineEnd {
  next: number;
}

/** A column that is decoded. */
export interface CutColumn {
  readonly name: string;
  /** Which of a row's fields it is. */
  readonly field: number;
  /** What is declared; numbers and times in their usual form are read from the bytes, times as milliseconds since 1970. All else is text. */
  readonly type: ColumnType | undefined;
}

/**
 * Cuts one row out of a window's text. It takes rows as nearly all are: as many fields as there are columns, quotes around whole
 * fields alone, the newline after it at hand. Anything else is `null`: `FieldScan` has to look at it.
 *
 * @param text the buffer's bytes, one character each
 * @param words the buffer
 * @param end `buffer[end]` is a line feed, whatever the text goes on with
 */
export type LineCutter = (
  text: string,
  buffer: Buffer,
  words: DataView,
  from: number,
  end: number,
  line: LineEnd,
  readDecimal: typeof decimalIn,
  readTime: typeof timeIn,
) => Row | null;

const PARAMETERS = ['text', 'buffer', 'words', 'from', 'end', 'line', 'readDecimal', 'readTime'];

/**
 * Code for every field by itself is faster up to here (20 columns: by a fifth); from 40 columns on it gains nothing, and takes longer to
 * compile.
 */
const MAX_UNROLLED = 32;

/**
 * Generates the code for one header.
 *
 * @param fields how many fields a row has
 * @param encoding what the text is known to be
 */
export function lineCutter(
  bytes: CsvBytes,
  fields: number,
  columns: readonly CutColumn[],
  encoding: 'ascii' | 'utf8',
): LineCutter {
  const isAscii = encoding === 'ascii';
  const cut =
    columns.length <= MAX_UNROLLED
      ? unrolledCutter(bytes, fields, columns, isAscii)
      : loopingCutter(bytes, fields, columns, isAscii);
  if (fields <= MAX_TRAINED && !trained.has(cut)) train(cut, bytes, fields, isAscii);
  trained.add(cut);
  return cut;
}

/** Makers of rows are kept for the next object with the same columns, and with them what V8 has learned. */
const trained = new WeakSet<LineCutter>();
const MAX_TRAINED = 250;

/** V8 begins to note what code does after some calls. */
const FIRST_CALLS = 10;

/**
 * Shows V8 everything that may come in any field before it compiles the code. What it has not seen it leaves out, and starts over,
 * slowly, where that comes: for 20 columns some twenty times, until a million rows are read. That took a tenth of the CPU time of transforming 400,000
 * rows; this takes a few milliseconds.
 */
function train(
  cut: LineCutter,
  { delimiter, quote, multiline }: CsvBytes,
  fields: number,
  isAscii: boolean,
): void {
  const between = String.fromCharCode(delimiter);
  const mark = quote === null ? '' : String.fromCharCode(quote);
  const wide = isAscii ? 'w' : 'ü語';
  const newline = multiline ? '\n' : ' ';
  const lessons = [
    ...Array<string>(FIRST_CALLS).fill(''),
    '7',
    '-12.25',
    'more text than a word of four bytes has',
    '2019-05-25',
    '2019-05-25T10:20:30.456Z',
    `${wide} ${wide}`,
    `${mark}quoted${quote === null ? '' : between}${mark}`,
    `${mark}${mark}${mark}doubled${newline}${mark}${mark} ${wide}${mark}`,
    `${mark}doubled ${mark}${mark}${mark}`,
  ];
  for (const lesson of lessons) {
    const row = Buffer.from(
      `${Array(fields).fill(lesson).join(between)}${'\n'.repeat(GUARD_BYTES + 1)}`,
      'utf8',
    );
    const words = new DataView(row.buffer, row.byteOffset, row.byteLength);
    const end = row.length - GUARD_BYTES;
    cut(row.toString('latin1'), row, words, 0, end, { next: 0 }, decimalIn, timeIn);
  }
}

/** Fields go from the bytes to the row without a list of places between; of columns that are not needed only the end is looked for. */
function unrolledCutter(
  bytes: CsvBytes,
  fields: number,
  columns: readonly CutColumn[],
  isAscii: boolean,
): LineCutter {
  const needed = new Map(columns.map(({ field, type }) => [field, type]));
  const code = [VARIABLES];
  for (let field = 0; field < fields; field++) {
    const last = field === fields - 1;
    const pass = last ? PASS_NEWLINE : passDelimiter(bytes);
    if (needed.has(field)) {
      const value = typed(needed.get(field), '!isDoubled', takeField(bytes, isAscii));
      code.push(passField(bytes, isAscii), `const value${field} = ${value};`, pass);
    } else if (last) {
      code.push(passField(bytes), pass);
    } else {
      const skipped = field;
      while (field + 1 < fields - 1 && !needed.has(field + 1)) field++;
      code.push(`for (let n = ${field - skipped + 1}; n > 0; n--) {`, passField(bytes), pass, '}');
    }
  }
  code.push('line.next = i;');
  return generateRowMaker(
    PARAMETERS,
    columns.map(({ name, field }) => ({ name, value: `value${field}` })),
    code.join('\n'),
  ) as LineCutter;
}

/** One loop notes where the fields lie; those that have to be decoded at the complement of their start. */
function loopingCutter(
  bytes: CsvBytes,
  fields: number,
  columns: readonly CutColumn[],
  isAscii: boolean,
): LineCutter {
  const isPlain = isAscii ? '!isDoubled' : `!isDoubled && (bits & ${HIGHEST_BITS}) === 0`;
  const setup = [
    `const starts = new Int32Array(${fields});`,
    `const ends = new Int32Array(${fields});`,
    'const decoded = (text, buffer, start, stop) => {',
    'const bits = -1, isDoubled = true;',
    `return ${takeField(bytes, isAscii)};`,
    '};',
  ];
  const before = [
    VARIABLES,
    'for (let field = 0;; field++) {',
    passField(bytes, isAscii),
    `starts[field] = ${isPlain} ? start : ~start;`,
    'ends[field] = stop;',
    `if (field === ${fields - 1}) break;`,
    passDelimiter(bytes),
    '}',
    PASS_NEWLINE,
    'line.next = i;',
  ];
  return generateRowMaker(
    PARAMETERS,
    columns.map(({ name, field, type }) => {
      const taken = `start >= 0 ? text.slice(start, stop) : decoded(text, buffer, ~start, stop)`;
      return {
        name,
        value: `(start = starts[${field}], stop = ends[${field}], ${typed(type, 'start >= 0', taken)})`,
      };
    }),
    before.join('\n'),
    setup.join('\n'),
  ) as LineCutter;
}

const VARIABLES =
  'let i = from, byte = 0, word = 0, other = 0, marks = 0, bits = 0, start = 0, stop = 0, isDoubled = false, number = 0;';

/** Digits and letters are above most bytes that matter. */
const DIGITS = 0x30;

/** Moves `i` to the byte after the field, which `byte` becomes. */
function passField({ delimiter, quote, multiline }: CsvBytes, isAscii = true): string {
  const stops = [LINE_FEED, CARRIAGE_RETURN, delimiter, ...(quote === null ? [] : [quote])];
  const unquoted = [
    'start = i;',
    passUntil(stops, Math.max(...stops.filter((stop) => stop < DIGITS)), isAscii),
    'stop = i;',
  ];
  const begin = isAscii ? '' : 'bits = 0;';
  if (quote === null) return [begin, ...unquoted].join('\n');
  return [
    begin,
    'isDoubled = false;',
    `if (buffer[i] === ${quote}) {`,
    '  start = ++i;',
    '  for (;;) {',
    passUntil([LINE_FEED, CARRIAGE_RETURN, quote], CARRIAGE_RETURN, isAscii),
    `    if (byte !== ${quote}) {`,
    // The line feed at `end` may be none of the text.
    multiline ? '      if (i >= end) return null;\n      i++;\n      continue;' : '      return null;',
    '    }',
    `    if (buffer[i + 1] !== ${quote}) break;`,
    '    isDoubled = true;',
    '    i += 2;',
    '  }',
    '  stop = i;',
    '  byte = buffer[++i];',
    '} else {',
    ...unquoted,
    '}',
  ].join('\n');
}

/** The field's text. Cutting is far cheaper than decoding: only fields with bits of other characters are decoded. */
function takeField({ quote }: CsvBytes, isAscii: boolean): string {
  const cut = 'text.slice(start, stop)';
  const take = isAscii
    ? cut
    : `((bits & ${HIGHEST_BITS}) === 0 ? ${cut} : buffer.toString('utf8', start, stop))`;
  if (quote === null) return take;
  const mark = String.fromCharCode(quote);
  return `isDoubled ? ${take}.replaceAll(${codeOf(mark + mark)}, ${codeOf(mark)}) : ${take}`;
}

/**
 * A number where the column's type is read from bytes and the field has the usual form of it. A third of the time of text that is cast.
 *
 * @param isPlain code: whether the field's bytes are its text; a quote may be a digit
 */
function typed(type: ColumnType | undefined, isPlain: string, text: string): string {
  switch (type) {
    case 'number':
    case 'integer':
      return `${isPlain} && (number = readDecimal(buffer, start, stop)) === number ? number : ${text}`;
    case 'timestamp':
      return `${isPlain} && (number = readTime(buffer, start, stop)) === number ? number : ${text}`;
    default:
      return text;
  }
}

/**
 * Moves `i` to the next of the given bytes, which `byte` becomes. It looks at four bytes at once (20 columns: a tenth faster, 80: a
 * fifth): of the bytes that may be stops, `marks` has the highest bit of the first; what it tells of those behind may be wrong. `bits` collects the
 * words, and with them up to three bytes too many.
 *
 * @param low bytes up to it are looked at one by one
 */
function passUntil(stops: readonly number[], low: number, isAscii: boolean): string {
  const isLow = `(word - ${fourTimes(low + 1)} & ~word)`;
  const isStop = stops
    .filter((stop) => stop > low)
    .map((stop) => `(other = word ^ ${fourTimes(stop)}, other - ${fourTimes(1)} & ~other)`);
  return [
    'for (;;) {',
    '  do {',
    '    word = words.getInt32(i, true);',
    isAscii ? '' : '    bits |= word;',
    `    marks = (${[isLow, ...isStop].join(' | ')}) & ${HIGHEST_BITS};`,
    '    i += 4;',
    '  } while (marks === 0);',
    '  i += (Math.clz32(marks & -marks) >> 3 ^ 3) - 4;',
    '  byte = buffer[i];',
    `  if (${stops.map((stop) => `byte === ${stop}`).join(' || ')}) break;`,
    '  i++;',
    '}',
  ].join('\n');
}

const HIGHEST_BITS = fourTimes(0x80);

function fourTimes(byte: number): string {
  return `0x${(byte * 0x01010101).toString(16)}`;
}

function passDelimiter({ delimiter }: CsvBytes): string {
  return `if (byte !== ${delimiter}) return null;\ni++;`;
}

const PASS_NEWLINE = `if ((byte !== ${LINE_FEED} && byte !== ${CARRIAGE_RETURN}) || i >= end) return null;`;
