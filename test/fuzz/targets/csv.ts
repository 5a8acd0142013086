import { isUtf8 } from 'node:buffer';
import { parse } from 'csv-parse/sync';
import { csvDecoder } from '../../../src/application/formats/csv/decoder.ts';
import { uniqueNames } from '../../../src/application/formats/csv/dialect.ts';
import { memoryObject, readAll, type Reading } from '../../formats/text/lake-text.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target, type Verdict } from '../target.ts';
import { boundedOptions, chunksOf, MAX_ROW_BYTES, partsAgree } from '../text-reading.ts';

const REFUSED = ['E_CSV_QUOTE', 'E_CSV_FIELDS', 'E_UTF8', 'E_ROW_TOO_LARGE'];

/** CSV and TSV against csv-parse, with the delimiter told. */
export const csvTarget = delimited('csv', ',');
export const tsvTarget = delimited('tsv', '\t');

function delimited(name: 'csv' | 'tsv', delimiter: string): Target {
  return {
    name,
    share: 4,
    isJson: false,
    tokens: [
      '"',
      '""',
      '"""',
      delimiter,
      '\n',
      '\r\n',
      '\r',
      '\n\n',
      '\u00ef\u00bb\u00bf',
      '\u00ff',
      '\u00c3',
      '\0',
      ' ',
      `"${delimiter}"`,
      `${delimiter}"`,
      `"${delimiter}`,
      '"\n',
      '\n"',
      '__proto__',
      'constructor',
      'a'.repeat(300),
    ],
    open: () => ({
      corpus: [
        'a,b,c\n1,2,3\n4,5,6\n',
        'a,b\r\n"x, y","line\r\nbreak"\r\n"say ""hi""",\r\n',
        '\ufeffid,name,__proto__\n1,é€𝄞,x\n2,"ü",""\n',
        'lane,delay\rFRA-JFK,1\rJFK-FRA,2',
        `a,a,b\n\n\n,,\n" "," ",\n${'0123456789,abc,"d"\n'.repeat(12)}`,
        `"quoted ""name""",b\n"",""\n${'"\n",\n'.repeat(9)}`,
      ].map((text) => new Uint8Array(Buffer.from(text.replaceAll(',', delimiter)))),
      check: (input) => check(input, name, delimiter),
    }),
  };
}

async function check(input: Uint8Array, name: string, delimiter: string): Promise<Verdict> {
  const options = { ...boundedOptions, csv: { delimiter } };
  const object = memoryObject(input, chunksOf(input), `x.${name}`);
  const { value: reading, code } = await outcomeOf(REFUSED, () => readAll(csvDecoder, object, options));
  must(object.open === 0, 'a stream was left open');
  for (const fault of reading?.faults ?? [])
    must(REFUSED.includes(fault.code), `a fault of code ${fault.code}`);
  const records = secondReading(input, delimiter);
  if (reading !== undefined) await partsAgree(csvDecoder, input, `x.${name}`, options, reading);
  if (reading === undefined || reading.faults.length > 0) {
    // Where we refuse and csv-parse does not, we are stricter on purpose: bytes that are not UTF-8 are never replaced, a row has a
    // largest size, and nothing may stand between a closing quote and the delimiter, where csv-parse lets zero bytes pass.
    const codes = new Set(code === undefined ? reading?.faults.map((fault) => fault.code) : [code]);
    const isStricter =
      (codes.has('E_UTF8') && !isUtf8(input)) ||
      (codes.has('E_ROW_TOO_LARGE') && input.length > MAX_ROW_BYTES) ||
      (codes.has('E_CSV_QUOTE') && Buffer.from(input).includes('"\0'));
    must(records === null || isStricter, `csv-parse reads what we refuse with ${[...codes].join(', ')}`);
    return 'refused';
  }
  must(records !== null, 'csv-parse refuses what we read');
  agree('rows', rowsOf(reading, uniqueNames(records[0] ?? [])), records.slice(1));
  return 'accepted';
}

/** All records, with the header; `null` where csv-parse refuses them. */
function secondReading(input: Uint8Array, delimiter: string): string[][] | null {
  try {
    return parse(Buffer.from(input), {
      delimiter,
      record_delimiter: ['\r\n', '\n', '\r'],
      skip_empty_lines: true,
      // A mark of UTF-16 would be one of UTF-16 to it.
      bom: input[0] === 0xef,
    });
  } catch {
    return null;
  }
}

function rowsOf({ rows }: Reading, names: readonly string[]): unknown[][] {
  return rows.map(({ row }) => names.map((name) => row[name]));
}
