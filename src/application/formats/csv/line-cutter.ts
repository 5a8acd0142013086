import type { Buffer } from 'node:buffer';
import type { Row } from '../../../domain/row.ts';
import { codeOf, generateRowMaker } from '../row-factory.ts';
import { CARRIAGE_RETURN, LINE_FEED, type CsvBytes } from './quote-scan.ts';

/** Where the row that was cut ends: index of its newline. */
export interface LineEnd {
  next: number;
}

/**
 * Cuts one row out of a window's text. It takes rows as nearly all are: as many fields as there are columns, quotes around whole
 * fields alone, no newline inside, the newline after it at hand. Anything else is `null`: `FieldScan` has to look at it.
 *
 * @param text the buffer's bytes, one character each
 * @param end `buffer[end]` is a line feed, whatever the text goes on with
 */
export type LineCutter = (
  text: string,
  buffer: Buffer,
  from: number,
  end: number,
  line: LineEnd,
) => Row | null;

/** The code grows with the fields, and with it the time that the engine takes to compile it: above this it is not earned back. */
const MAX_FIELDS = 64;

/**
 * Generates the code for one header, so that fields go from the bytes to the row without a list of places between; of columns that are not
 * needed only the end is looked for.
 *
 * @param fields how many fields a row has
 * @param indexes of each column its field
 * @param encoding what the text is known to be
 * @returns `null` where rows have too many fields for it
 */
export function lineCutter(
  bytes: CsvBytes,
  fields: number,
  columns: readonly string[],
  indexes: readonly number[],
  encoding: 'ascii' | 'utf8',
): LineCutter | null {
  if (fields > MAX_FIELDS) return null;
  const needed = new Set(indexes);
  const isAscii = encoding === 'ascii';
  const code = ['let i = from, byte = 0, bits = 0;'];
  for (let field = 0; field < fields; field++) {
    const last = field === fields - 1;
    const pass = last ? PASS_NEWLINE : passDelimiter(bytes);
    if (needed.has(field)) {
      code.push(`let start${field} = i, end${field}, isDoubled${field} = false;`);
      if (!isAscii) code.push('bits = 0;');
      code.push(passField(bytes, isAscii, field), pass, takeField(bytes, isAscii, field));
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
    ['text', 'buffer', 'from', 'end', 'line'],
    columns.map((name, c) => ({ name, value: `value${indexes[c]}` })),
    code.join('\n'),
  ) as LineCutter;
}

/** Moves `i` to the byte after the field, which `byte` becomes; without a field, that is all. */
function passField({ delimiter, quote }: CsvBytes, isAscii = true, field?: number): string {
  const ifNeeded = (code: string): string => (field === undefined ? '' : code);
  const unquoted = [
    passUntil([LINE_FEED, CARRIAGE_RETURN, delimiter, ...(quote === null ? [] : [quote])], isAscii),
    ifNeeded(`end${field} = i;`),
  ];
  if (quote === null) return unquoted.join('\n');
  return [
    `if (buffer[i] === ${quote}) {`,
    '  i++;',
    ifNeeded(`start${field} = i;`),
    '  for (;;) {',
    passUntil([LINE_FEED, CARRIAGE_RETURN, quote], isAscii),
    `    if (byte !== ${quote}) return null;`,
    `    if (buffer[i + 1] !== ${quote}) break;`,
    ifNeeded(`isDoubled${field} = true;`),
    '    i += 2;',
    '  }',
    ifNeeded(`end${field} = i;`),
    '  byte = buffer[++i];',
    '} else {',
    ...unquoted,
    '}',
  ].join('\n');
}

/** Cutting is far cheaper than decoding: only fields with bits of other characters are decoded. */
function takeField({ quote }: CsvBytes, isAscii: boolean, field: number): string {
  const place = `start${field}, end${field}`;
  const cut = `text.substring(${place})`;
  const take = isAscii ? cut : `bits > 0x7f ? buffer.toString('utf8', ${place}) : ${cut}`;
  if (quote === null) return `const value${field} = ${take};`;
  const mark = String.fromCharCode(quote);
  return [
    `let value${field} = ${take};`,
    `if (isDoubled${field}) value${field} = value${field}.replaceAll(${codeOf(mark + mark)}, ${codeOf(mark)});`,
  ].join('\n');
}

/** Letters and digits are above most bytes that matter: one comparison passes them. */
function passUntil(stops: readonly number[], isAscii: boolean): string {
  const low = Math.max(...stops.filter((stop) => stop < 0x30));
  const highOnes = stops.filter((stop) => stop > low).map((stop) => `byte !== ${stop}`);
  const lowOnes = stops.filter((stop) => stop <= low).map((stop) => `byte !== ${stop}`);
  const above = [`byte > ${low}`, ...highOnes].join(' && ');
  const read = isAscii ? 'byte = buffer[i]' : 'bits |= byte = buffer[i]';
  return `while ((${read}, ${above}) || (${[...lowOnes, ...highOnes].join(' && ')})) i++;`;
}

function passDelimiter({ delimiter }: CsvBytes): string {
  return `if (byte !== ${delimiter}) return null;\ni++;`;
}

/** The line feed at `end` may be none of the text. */
const PASS_NEWLINE = `if ((byte !== ${LINE_FEED} && byte !== ${CARRIAGE_RETURN}) || i >= end) return null;`;
