import { jsonLinesDecoder } from '../../../src/application/formats/json/json-lines-decoder.ts';
import { memoryObject, readAll } from '../../formats/text/lake-text.ts';
import { agree, must, type Target } from '../target.ts';
import { boundedOptions, chunksOf, MAX_ROW_BYTES, partsAgree } from '../text-reading.ts';

const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/**
 * JSON Lines, line by line against `JSON.parse`: every line is a row of both or of neither. Stricter on purpose: a line that is not
 * UTF-8 or over the bound for rows, and JSON that is no object.
 */
export const jsonLinesTarget: Target = {
  name: 'jsonl',
  share: 4,
  isJson: false,
  tokens: [
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    '\\"',
    ':',
    ',',
    '\n',
    '\r\n',
    '\r',
    '\t',
    'null',
    'true',
    '1e999',
    '-',
    '{}',
    '\u00ef\u00bb\u00bf',
    '\u00ff',
    '\u00c3',
    '\0',
    '\\u0000',
    '\\ud800',
    '"__proto__":1,',
    '"constructor":{},',
    '[[[[[[[[',
    ' '.repeat(300),
  ],
  open: () => ({
    corpus: [
      '{"a":1,"b":"x"}\n{"a":2,"b":null}\n{"a":3}\n',
      '\ufeff{"__proto__":{"x":1},"constructor":"c"}\r\n\r\n{"é":"€𝄞","n":[1,{"o":[]}]}',
      `{}\n   \n\t{"a":"\\u00e9\\n"}\t\n[]\nnull\n${'{"lane":"FRA-JFK","delay":12}\n'.repeat(8)}`,
      `${'{"a":'.repeat(12)}1${'}'.repeat(12)}\n{"a":1e308,"b":-0,"a":2}\n`,
    ].map((text) => new Uint8Array(Buffer.from(text))),
    async check(input) {
      const object = memoryObject(input, chunksOf(input), 'x.jsonl');
      const reading = await readAll(jsonLinesDecoder, object, boundedOptions);
      must(object.open === 0, 'a stream was left open');
      const expected = linesOf(input).map(({ start, bytes }) => [start, rowOf(bytes)] as const);
      agree(
        'rows',
        reading.rows.map(({ coordinate, row }) => [coordinate, Object.entries(row)]),
        expected
          .filter(([, row]) => row !== null)
          .map(([start, row]) => [start, Object.entries(row as object)]),
      );
      agree(
        'faults',
        reading.faults.map(({ coordinate }) => coordinate),
        expected.filter(([, row]) => row === null).map(([start]) => start),
      );
      for (const { code } of reading.faults)
        must(['E_JSON', 'E_UTF8', 'E_ROW_TOO_LARGE'].includes(code), `a fault of code ${code}`);
      await partsAgree(jsonLinesDecoder, input, 'x.jsonl', boundedOptions, reading);
      return reading.faults.length === 0 ? 'accepted' : 'refused';
    },
  }),
};

/** Lines that are not blank, after a byte order mark. */
function linesOf(input: Uint8Array): { start: number; bytes: Buffer }[] {
  const text = Buffer.from(input);
  const lines: { start: number; bytes: Buffer }[] = [];
  let start = text.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
  while (start < text.length) {
    const feed = text.indexOf(LINE_FEED, start);
    const end = feed === -1 ? text.length : feed;
    const bytes = text.subarray(start, end);
    if (bytes.length > MAX_ROW_BYTES || bytes.toString('latin1').replaceAll(/[ \t\r]/g, '') !== '')
      lines.push({ start, bytes });
    start = end + 1;
  }
  return lines;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function rowOf(bytes: Buffer): object | null {
  if (bytes.length > MAX_ROW_BYTES) return null;
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
