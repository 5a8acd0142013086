import fc from 'fast-check';

const codePoint = fc.integer({ min: 0, max: 0x10_ffff }).map((code) => String.fromCodePoint(code));
const plain = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code));
const controls = fc
  .constantFrom(0, 7, 9, 10, 13, 0x1b, 0x7f, 0x9b, 0x2028, 0x202e, 0xfeff, 0xd800, 0xdc00)
  .map((code) => String.fromCharCode(code));
const special = fc.constantFrom('"', "'", '&', '<', '>', '`', '$', ',', '日', '🛫', '👨‍👩‍👧‍👦', 'e\u0301');

/** Text of all that Unicode has, rich in what does harm; quicker to set up than fast-check's own units. */
export const anyText: fc.Arbitrary<string> = fc.string({
  unit: fc.oneof(plain, controls, special, codePoint),
  maxLength: 40,
});
