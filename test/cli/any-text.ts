import fc from 'fast-check';

const codePoint = fc.integer({ min: 0, max: 0x10_ffff }).map((code) => String.fromCodePoint(code));
const plain = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code));
const special = fc.constantFrom(
  ...[
    '\u0000',
    '\u0007',
    '\t',
    '\n',
    '\r',
    '\u001b',
    '\u007f',
    '\u009b',
    '\u2028',
    '\u202e',
    '\ufeff',
    '\ud800',
    '\udc00',
  ],
  ...['"', "'", '&', '<', '>', '`', '\\', '$', ',', ';', '日', '🛫', '👨‍👩‍👧‍👦', 'e\u0301'],
);

/** Text of all that Unicode has, rich in what does harm; quicker to set up than fast-check's own units. */
export const anyText: fc.Arbitrary<string> = fc.string({
  unit: fc.oneof(plain, special, codePoint),
  maxLength: 40,
});
