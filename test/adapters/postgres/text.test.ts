import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromStored, toStored, toStoredJson } from '../../../src/adapters/postgres/text.ts';

const control = fc.constantFrom('\0', '\u0001', '\u0002', 'a', '\u{10ffff}', '\ud800', '\udc00');
const anyText = fc.string({ unit: fc.oneof(control, fc.string({ unit: 'binary', maxLength: 1 })) });

describe('text as PostgreSQL keeps it', () => {
  it('has no NUL and no lone surrogate, and reads as it was', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const stored = toStored(text);
        expect(stored).not.toContain('\0');
        expect(stored.isWellFormed()).toBe(true);
        expect(fromStored(stored)).toBe(text.toWellFormed());
      }),
    );
  });

  it('has the order by UTF-8 bytes that it had', () => {
    const order = (a: string, b: string) => Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        expect(order(toStored(a), toStored(b))).toBe(order(a.toWellFormed(), b.toWellFormed()));
      }),
    );
  });

  it('is the same within JSON', () => {
    const deep = (value: unknown): unknown =>
      typeof value === 'string'
        ? toStored(value)
        : Array.isArray(value)
          ? value.map(deep)
          : Object.fromEntries(
              Object.entries(value as object).map(([name, inner]) => [toStored(name), deep(inner)]),
            );
    const { value: anyValue } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        anyText,
        fc.array(tie('value')),
        fc.dictionary(anyText, tie('value'), { noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(anyValue, (value) => {
        // Names that become the same would replace each other; JSON has it the same way.
        expect(JSON.parse(toStoredJson(JSON.stringify(value)))).toEqual(deep(value));
      }),
    );
    expect(toStoredJson(String.raw`"\\u0000"`)).toBe(String.raw`"\\u0000"`);
  });
});
