import { isUtf8 } from 'node:buffer';
import { jsonDecoder } from '../../../src/application/formats/json/json-decoder.ts';
import { memoryObject, readAll } from '../../formats/text/lake-text.ts';
import { agree, must, type Target } from '../target.ts';
import { boundedOptions, chunksOf, MAX_ROW_BYTES } from '../text-reading.ts';

/**
 * One JSON array of objects, or one object, against `JSON.parse` of the whole text. Stricter on purpose: bytes that are not UTF-8, rows over
 * the bound, elements that are no objects. Laxer on purpose: a text of white space alone has no rows, and is no fault.
 */
export const jsonArrayTarget: Target = {
  name: 'json',
  share: 6,
  isJson: true,
  tokens: [
    '{',
    '}',
    '[',
    ']',
    '[]',
    '{}',
    '"',
    '\\',
    '\\"',
    ':',
    ',',
    ',,',
    '\n',
    ' ',
    'null',
    '1',
    '\u00ef\u00bb\u00bf',
    '\u00ff',
    '\0',
    '"__proto__":1,',
    '[[[[[[[[[',
    '{"a":{"a":{"a":',
    'x'.repeat(300),
  ],
  open: () => ({
    corpus: [
      '[{"a":1,"b":"x"},{"a":2,"b":null}]',
      ' [ {"a":"],}{[\\"","b":[{"c":[]}]} ,\n {} ] \n',
      '{"only":{"row":[1,2,3]}}\n',
      '[]',
      `\ufeff[${Array.from({ length: 9 }, (_, i) => `{"lane":"é${i}","__proto__":${i}}`).join(',\n')}]`,
    ].map((text) => new Uint8Array(Buffer.from(text))),
    async check(input) {
      const object = memoryObject(input, chunksOf(input), 'x.json');
      const reading = await readAll(jsonDecoder, object, boundedOptions);
      must(object.open === 0, 'a stream was left open');
      const codes = new Set(reading.faults.map(({ code }) => code));
      for (const code of codes)
        must(['E_JSON', 'E_UTF8', 'E_ROW_TOO_LARGE'].includes(code), `a fault of code ${code}`);
      const expected = secondReading(input);
      if (codes.size > 0) {
        const isStricter = !isUtf8(input) || (codes.has('E_ROW_TOO_LARGE') && input.length > MAX_ROW_BYTES);
        must(
          expected === null || isStricter,
          `JSON.parse reads what we refuse with ${[...codes].join(', ')}`,
        );
        return 'refused';
      }
      if (isBlank(input)) {
        agree('rows of a blank text', reading.rows.length, 0);
        return 'accepted';
      }
      must(expected !== null, 'JSON.parse refuses what we read');
      agree(
        'rows',
        reading.rows.map(({ row }) => Object.entries(row)),
        expected.map((row) => Object.entries(row)),
      );
      return 'accepted';
    },
  }),
};

/** The rows; `null` where the text is no JSON, or holds something else. */
function secondReading(input: Uint8Array): readonly object[] | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(input));
  } catch {
    return null;
  }
  const isObject = (item: unknown): item is object =>
    typeof item === 'object' && item !== null && !Array.isArray(item);
  if (isObject(value)) return [value];
  return Array.isArray(value) && value.every(isObject) ? value : null;
}

function isBlank(input: Uint8Array): boolean {
  return new TextDecoder().decode(input).replaceAll(/[ \t\r\n]/g, '') === '';
}
