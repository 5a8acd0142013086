import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonDecoder } from '../../../src/application/formats/json/json-decoder.ts';
import { jsonLinesDecoder } from '../../../src/application/formats/json/json-lines-decoder.ts';
import type { Decoder } from '../../../src/application/formats/decoder.ts';
import { collect, memoryObject, never, readAll, readOptions } from './lake-text.ts';

const rows = fc.array(
  fc.dictionary(
    fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', '0', '[', '"')),
    fc.jsonValue(),
  ),
  { maxLength: 12 },
);
const chunking = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 });
const space = fc.constantFrom('', ' ', '\n', '\t\r\n ', '\n\n');

/** What JSON.parse makes of each row; compared as text, since keys such as `__proto__` confuse deep equality. */
function asText(values: readonly unknown[]): string[] {
  return values.map((value) => JSON.stringify(value));
}

async function read(decoder: Decoder, text: string | Uint8Array, options = {}) {
  const reading = await readAll(decoder, memoryObject(text, [1, 5, 2], 'x.json'), readOptions(options));
  return {
    rows: reading.rows.map(({ row }) => JSON.stringify(row)),
    at: reading.rows.map(({ coordinate }) => coordinate),
    faults: reading.faults.map(({ coordinate, code }) => [coordinate, code]),
    sections: reading.sections,
  };
}

describe('JSON Lines', () => {
  it('gives what JSON.parse gives of each line, however the bytes are chunked', async () => {
    await fc.assert(
      fc.asyncProperty(
        rows,
        chunking,
        fc.constantFrom('\n', '\r\n', '\n\n', '\n \t\r\n'),
        fc.boolean(),
        async (values, chunks, newline, bom) => {
          const text = (bom ? '\ufeff' : '') + asText(values).join(newline);
          const reading = await readAll(jsonLinesDecoder, memoryObject(text, chunks), readOptions());
          expect(reading.faults).toEqual([]);
          expect(asText(reading.rows.map(({ row }) => row))).toEqual(asText(values));
          for (const { row } of reading.rows) expect(Object.getPrototypeOf(row)).toBeNull();
        },
      ),
      { numRuns: 300 },
    );
  });

  it('every line that is no object is a fault of its own', async () => {
    const text = Buffer.from('{"a":1}\n{"a":\n[1]\nnull\n"x"\n\n{"b":"\xff"}\n{"a":2,}\n{"a":3}', 'latin1');
    expect(await read(jsonLinesDecoder, text)).toMatchObject({ rows: ['{"a":1}', '{"a":3}'], at: [0, 47] });
    const faults = (await readAll(jsonLinesDecoder, memoryObject(text), readOptions())).faults;
    expect(faults.map(({ code }) => code)).toEqual([
      'E_JSON',
      'E_JSON',
      'E_JSON',
      'E_JSON',
      'E_UTF8',
      'E_JSON',
    ]);
    expect(faults.map(({ coordinate }) => coordinate)).toEqual([8, 14, 18, 23, 28, 38]);
    expect(faults.map(({ raw }) => Buffer.from(raw as Uint8Array).toString('latin1'))).toEqual([
      '{"a":',
      '[1]',
      'null',
      '"x"',
      '{"b":"\xff"}',
      '{"a":2,}',
    ]);
  });

  it('keeps __proto__ as an ordinary column, and nothing of Object.prototype', async () => {
    const reading = await readAll(
      jsonLinesDecoder,
      memoryObject('{"__proto__":{"x":1},"a":2}\n{"b":1}'),
      readOptions(),
    );
    expect(Object.keys(reading.rows[0]?.row ?? {})).toEqual(['__proto__', 'a']);
    const chosen = await readAll(
      jsonLinesDecoder,
      memoryObject('{"__proto__":{"x":1},"a":2}\n{"b":1}'),
      readOptions({ columns: ['__proto__', 'toString'] }),
    );
    expect(chosen.rows.map(({ row }) => JSON.stringify(row))).toEqual([
      '{"__proto__":{"x":1},"toString":null}',
      '{"__proto__":null,"toString":null}',
    ]);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('casts, filters and selects; a value that does not fit is a fault that does not show it', async () => {
    const text = '{"a":"1","b":2,"c":"x"}\n{"a":"secret","b":3}\n{"a":"9","b":1}\n{"b":5}\n';
    const options = {
      columns: { a: 'integer', yyyy: 'string' },
      where: { b: { $gt: 1 } },
      pathColumns: { yyyy: 2019 },
    } as const;
    const reading = await readAll(jsonLinesDecoder, memoryObject(text), readOptions(options));
    expect(reading.rows.map(({ row }) => JSON.stringify(row))).toEqual([
      '{"a":1,"yyyy":"2019"}',
      '{"a":null,"yyyy":"2019"}',
    ]);
    expect(reading.filtered).toBe(1);
    expect(reading.faults).toMatchObject([
      { coordinate: 24, code: 'E_VALUE_TYPE', message: expect.stringContaining('"a"') },
    ]);
    expect(reading.faults[0]?.message).not.toContain('secret');
  });
});

describe('one JSON array', () => {
  it('gives what JSON.parse gives of the whole, however it is written and chunked', async () => {
    await fc.assert(
      fc.asyncProperty(
        rows,
        chunking,
        space,
        fc.constantFrom(undefined, 2, '\t'),
        fc.boolean(),
        async (values, chunks, blank, indent, bom) => {
          const elements = values.map((value) => JSON.stringify(value, null, indent));
          const text = `${blank}[${blank}${elements.join(`${blank},${blank}`)}${blank}]${blank}`;
          const reading = await readAll(
            jsonDecoder,
            memoryObject((bom ? '\ufeff' : '') + text, chunks),
            readOptions(),
          );
          expect(reading.faults).toEqual([]);
          expect(asText(reading.rows.map(({ row }) => row))).toEqual(asText(JSON.parse(text) as unknown[]));
          const bytes = Buffer.from((bom ? '\ufeff' : '') + text);
          for (const { coordinate } of reading.rows) expect(bytes[coordinate]).toBe('{'.charCodeAt(0));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('a single object is one row', async () => {
    expect(await read(jsonDecoder, ' {"a":{"b":"}"}}\n')).toMatchObject({
      rows: ['{"a":{"b":"}"}}'],
      at: [1],
      faults: [],
    });
    expect(await read(jsonDecoder, '{"a":1} {"a":2}')).toMatchObject({
      rows: ['{"a":1}'],
      faults: [[8, 'E_JSON']],
    });
    for (const text of ['', ' \n', '[]', ' [ ] '])
      expect(await read(jsonDecoder, text)).toMatchObject({
        rows: [],
        faults: [],
        sections: [{ section: 0, last: true }],
      });
  });

  it('goes on after an element that is broken', async () => {
    expect(await read(jsonDecoder, '[{"a":1},{"a":},3,,"x,]",{"a":2}}, [4,5], tru,{"a":6},]')).toMatchObject({
      rows: ['{"a":1}', '{"a":6}'],
      faults: [
        [9, 'E_JSON'],
        [16, 'E_JSON'],
        [18, 'E_JSON'],
        [19, 'E_JSON'],
        [25, 'E_JSON'],
        [35, 'E_JSON'],
        [42, 'E_JSON'],
        [54, 'E_JSON'],
      ],
    });
    const bytes = Buffer.from('[{"a":"\xff"},{"a":"\xc3\xa9"}]', 'latin1');
    expect(await read(jsonDecoder, bytes)).toMatchObject({ rows: ['{"a":"é"}'], faults: [[1, 'E_UTF8']] });
  });

  it('where it breaks off, what stood before is kept and the rest is one fault', async () => {
    expect(await read(jsonDecoder, '[{"a":1},{"a":2')).toMatchObject({
      rows: ['{"a":1}'],
      faults: [[9, 'E_JSON']],
    });
    expect(await read(jsonDecoder, '[{"a":1},{"a":"2},{"a":3}]')).toMatchObject({
      rows: ['{"a":1}'],
      faults: [[9, 'E_JSON']],
    });
    expect(await read(jsonDecoder, '[{"a":1}')).toMatchObject({ rows: ['{"a":1}'], faults: [[8, 'E_JSON']] });
    expect(await read(jsonDecoder, '[{"a":1},')).toMatchObject({
      rows: ['{"a":1}'],
      faults: [[9, 'E_JSON']],
    });
    expect(await read(jsonDecoder, '[{"a":1}] x')).toMatchObject({
      rows: ['{"a":1}'],
      faults: [[10, 'E_JSON']],
    });
    expect(await read(jsonDecoder, '"abc"')).toMatchObject({ rows: [], faults: [[0, 'E_JSON']] });
  });

  it('begins anew in a later section where only white space stands before it', async () => {
    for (const text of ['\n]', '\n[{}]', '\n{"a":1}']) {
      const options = readOptions({ limits: { sectionBytes: 1 } });
      const whole = await readAll(jsonDecoder, memoryObject(text), options);
      const range = { from: 1, to: 1 };
      const part = await collect(jsonDecoder.read(memoryObject(text), range, 1, options, never));
      expect(part.faults).toEqual(whole.faults.filter(({ coordinate }) => coordinate === 1));
      expect(part.sections).toEqual(whole.sections.filter(({ section }) => section === 1));
    }
  });

  it('an element over the limit is one fault, whatever is in it', async () => {
    const huges = [0, 1, 2, 3, 4, 5, 6, 7].map((shift) =>
      JSON.stringify({ a: ['x'.repeat(shift) + '\\"],[{'.repeat(30_000)] }),
    );
    for (const [decoder, text, at] of huges.flatMap(
      (huge) =>
        [
          [jsonDecoder, `[{"a":1}, ${huge} ,{"a":2}]`, 10],
          [jsonLinesDecoder, `{"a":1}\n${huge}\n{"a":2}\n`, 8],
        ] as const,
    )) {
      const object = memoryObject(text, [1_000, 7]);
      const reading = await readAll(decoder, object, readOptions({ limits: { maxRowBytes: 1_000 } }));
      expect(reading.rows.map(({ row }) => JSON.stringify(row))).toEqual(['{"a":1}', '{"a":2}']);
      expect(reading.faults).toMatchObject([{ coordinate: at, code: 'E_ROW_TOO_LARGE', rows: 1 }]);
      expect(reading.faults[0]?.raw).toHaveLength(64 * 1024);
      expect((await readAll(decoder, object, readOptions())).faults).toEqual([]);
    }
  });

  it('describes columns by the first rows', async () => {
    const description = await jsonDecoder.describe(
      memoryObject('[{"a":1,"b":"x"},{"a":1.5,"c":[1],"d":true,"e":null}]'),
      readOptions(),
      never,
    );
    expect(description).toMatchObject({ format: 'json', compression: 'none', rows: null });
    expect(description.columns).toEqual([
      { name: 'a', type: 'number' },
      { name: 'b', type: 'string' },
      { name: 'c', type: 'json' },
      { name: 'd', type: 'boolean' },
      { name: 'e', type: 'string' },
    ]);
  });
});
