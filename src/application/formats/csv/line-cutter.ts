import type { Row } from '../../../domain/row.ts';
import { generateRowMaker } from '../row-factory.ts';
import { CARRIAGE_RETURN, LINE_FEED, type CsvBytes } from './quote-scan.ts';

/** Where the row that was cut ends: index of its newline. */
export interface LineEnd {
  next: number;
}

/**
 * Cuts one row out of ASCII text. It takes rows as nearly all are: as many fields as there are columns, quotes around whole fields
 * alone, nothing doubled, no newline inside, the newline after it at hand. Anything else is `null`: `FieldScan` has to look at it.
 *
 * @param text the buffer's bytes, one character each
 * @param end `buffer[end]` is a line feed, whatever the text goes on with
 */
export type LineCutter = (
  text: string,
  buffer: Uint8Array,
  from: number,
  end: number,
  line: LineEnd,
) => Row | null;

/** The engine does not optimise functions beyond a size. */
const MAX_FIELDS = 250;

/**
 * Generates the code for one header, so that fields go from the bytes to the row without a list of places between; of columns that are not
 * needed only the end is looked for.
 *
 * @param fields how many fields a row has
 * @param indexes of each column its field
 * @returns `null` where rows have too many fields for it
 */
export function lineCutter(
  bytes: CsvBytes,
  fields: number,
  columns: readonly string[],
  indexes: readonly number[],
): LineCutter | null {
  if (fields > MAX_FIELDS) return null;
  const needed = new Set(indexes);
  const code = ['let i = from, byte = 0;'];
  for (let field = 0; field < fields; field++) {
    const last = field === fields - 1;
    if (needed.has(field)) {
      code.push(`let start${field} = i, end${field};`, passField(bytes, `start${field}`, `end${field}`));
      code.push(last ? PASS_NEWLINE : passDelimiter(bytes));
      code.push(`const value${field} = text.substring(start${field}, end${field});`);
    } else if (last) {
      code.push(passField(bytes), PASS_NEWLINE);
    } else {
      const skipped = field;
      while (field + 1 < fields - 1 && !needed.has(field + 1)) field++;
      code.push(`for (let n = ${field - skipped + 1}; n > 0; n--) {`);
      code.push(passField(bytes), passDelimiter(bytes), '}');
    }
  }
  code.push('line.next = i;');
  return generateRowMaker(
    ['text', 'buffer', 'from', 'end', 'line'],
    columns.map((name, c) => ({ name, value: `value${indexes[c]}` })),
    code.join('\n'),
  ) as LineCutter;
}

/** Moves `i` to the byte after the field, which `byte` becomes. */
function passField(bytes: CsvBytes, start?: string, end?: string): string {
  const { delimiter, quote } = bytes;
  const unquoted = [
    passUntil([LINE_FEED, CARRIAGE_RETURN, delimiter, ...(quote === null ? [] : [quote])]),
    ...(end === undefined ? [] : [`${end} = i;`]),
  ];
  if (quote === null) return unquoted.join('\n');
  return [
    `if (buffer[i] === ${quote}) {`,
    '  i++;',
    ...(start === undefined ? [] : [`${start} = i;`]),
    passUntil([LINE_FEED, CARRIAGE_RETURN, quote]),
    `  if (byte !== ${quote}) return null;`,
    ...(end === undefined ? [] : [`${end} = i;`]),
    '  byte = buffer[++i];',
    '} else {',
    ...unquoted,
    '}',
  ].join('\n');
}

/** Letters and digits are above most bytes that matter: one comparison passes them. */
function passUntil(stops: readonly number[]): string {
  const low = Math.max(...stops.filter((stop) => stop < 0x30));
  const highOnes = stops.filter((stop) => stop > low).map((stop) => `byte !== ${stop}`);
  const lowOnes = stops.filter((stop) => stop <= low).map((stop) => `byte !== ${stop}`);
  const above = [`byte > ${low}`, ...highOnes].join(' && ');
  return `while ((byte = buffer[i], ${above}) || (${[...lowOnes, ...highOnes].join(' && ')})) i++;`;
}

function passDelimiter({ delimiter }: CsvBytes): string {
  return `if (byte !== ${delimiter}) return null;\ni++;`;
}

/** The line feed at `end` may be none of the text. */
const PASS_NEWLINE = `if ((byte !== ${LINE_FEED} && byte !== ${CARRIAGE_RETURN}) || i >= end) return null;`;
