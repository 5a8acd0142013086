import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FieldScan } from '../../../src/application/formats/csv/field-scan.ts';
import {
  compose,
  IDENTITY,
  LINE_START,
  QUOTED,
  QuoteScan,
  type CsvBytes,
  type QuoteState,
} from '../../../src/application/formats/csv/quote-scan.ts';

const dialects: fc.Arbitrary<CsvBytes> = fc.record({
  delimiter: fc.constantFrom(0x2c, 0x3b),
  quote: fc.constantFrom(0x22, 0x22, 0x27, null),
  multiline: fc.boolean(),
});

const text = fc
  .array(fc.constantFrom('a', 'b', ',', ';', '"', '"', "'", '\n', '\r', 'éé', 'xxxxxxxxxxxxxxxxxxxx'), {
    maxLength: 60,
  })
  .map((parts) => Buffer.from(parts.join('')));

function stepped(scan: QuoteScan, bytes: Buffer, state: QuoteState): QuoteState {
  return bytes.reduce<QuoteState>((before, byte) => scan.step(before, byte), state);
}

describe('the automaton of CSV', () => {
  it('jumping from quote to quote ends where stepping from byte to byte does, from every state', () => {
    fc.assert(
      fc.property(dialects, text, (dialect, bytes) => {
        const scan = new QuoteScan(dialect);
        for (const state of IDENTITY) {
          // Newlines inside quotes are never seen where they may not be.
          if (state === QUOTED && dialect.quote === null) continue;
          expect(scan.advance(bytes, 0, bytes.length, state)).toBe(stepped(scan, bytes, state));
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('transitions of consecutive stretches compose to that of the whole, wherever it is cut', () => {
    fc.assert(
      fc.property(dialects, text, fc.array(fc.nat(200), { maxLength: 5 }), (dialect, bytes, cuts) => {
        const scan = new QuoteScan(dialect.quote === null ? { ...dialect, quote: 0x22 } : dialect);
        const places = [
          0,
          ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b),
          bytes.length,
        ];
        const composed = places
          .slice(1)
          .map((to, i) => scan.transition(bytes, places[i] as number, to))
          .reduce(compose, IDENTITY);
        expect(composed).toEqual(scan.transition(bytes, 0, bytes.length));
        expect(composed).toEqual(IDENTITY.map((state) => stepped(scan, bytes, state)));
      }),
      { numRuns: 3_000 },
    );
  });

  it('is right about stretches that are longer than its lockstep', () => {
    const bytes = Buffer.from(`${'x'.repeat(5_000)}"y",z\n"${',"'.repeat(4_001)}`.repeat(3));
    const scan = new QuoteScan({ delimiter: 0x2c, quote: 0x22, multiline: true });
    expect(scan.transition(bytes, 0, bytes.length)).toEqual(
      IDENTITY.map((state) => stepped(scan, bytes, state)),
    );
  });

  it('agrees with the reader about where rows end, also where quotes are wrong', () => {
    fc.assert(
      fc.property(dialects, text, (dialect, bytes) => {
        const scan = new QuoteScan(dialect);
        const held = Buffer.concat([bytes, Buffer.from('\n')]);
        const fields = new FieldScan(dialect);
        for (let from = 0; from < bytes.length;) {
          const end = fields.scan(held, from, bytes.length, true);
          const { index, state } = scan.toLineStart(bytes, from, bytes.length, LINE_START);
          expect(index === -1 ? bytes.length : index - 1).toBe(end);
          if (index === -1) expect(fields.problem === 'unclosed').toBe(state === QUOTED);
          from = end + 1;
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
