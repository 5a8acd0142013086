import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compareUtf8 } from '../../src/domain/text-order.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc
    .array(
      fc.constantFrom('', 'a', '\u007f', '\u0080', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
      {
        maxLength: 4,
      },
    )
    .map((parts) => parts.join('')),
);

it('orders texts as their UTF-8 bytes', () =>
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { examples: [['\u{1F600}', '\uff21']] },
  ));
