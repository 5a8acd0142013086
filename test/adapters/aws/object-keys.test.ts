import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOfEventBridge, keyOfNotification } from '../../../src/adapters/aws/object-keys.ts';
import { isDomainError } from '../../../src/domain/errors.ts';

const anyKey = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

describe('keys of S3 notifications', () => {
  it.each([
    ['a+b.csv', 'a b.csv'],
    ['a%2Bb.csv', 'a+b.csv'],
    ['a%20b.csv', 'a b.csv'],
    ['line%0Abreak.csv', 'line\nbreak.csv'],
    ['..%2Fup.csv', '../up.csv'],
    ['%252F.csv', '%2F.csv'],
    ['yyyy%3D2019/mm=05/%C3%BC.csv', 'yyyy=2019/mm=05/ü.csv'],
    ['%F0%9F%98%80', '\u{1F600}'],
  ])('%s is %j', (encoded, key) => {
    expect(keyOfNotification(encoded)).toBe(key);
  });

  it.each(['bad%ZZ', '%', 'a%2', '%FF', '%C3', '%ED%A0%80', ''])('%s is none', (encoded) => {
    expect(() => keyOfNotification(encoded)).toThrow(
      expect.objectContaining({ kind: 'domain', code: 'E_OBJECT_KEY' }),
    );
  });

  it('come back whole, whatever encodes them: as a form, or as a part of a URL', () =>
    fc.assert(
      fc.property(anyKey, (key) => {
        const form = new URLSearchParams([['k', key]]).toString().slice('k='.length);
        expect(keyOfNotification(form)).toBe(key);
        expect(keyOfNotification(encodeURIComponent(key))).toBe(key);
        expect(keyOfNotification(encodeURIComponent(key).replaceAll('%2F', '/'))).toBe(key);
      }),
    ));

  it('are decoded or refused, and nothing else ever happens', () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom('%', '+', '2', 'F', 'f', 'C', '3', 'Z', '/') }),
        ),
        (encoded) => {
          try {
            expect(keyOfNotification(encoded).length).toBeGreaterThan(0);
          } catch (error) {
            expect(isDomainError(error) && error.code).toBe('E_OBJECT_KEY');
          }
        },
      ),
    ));
});

describe('keys of EventBridge', () => {
  it('stand as they are', () =>
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(keyOfEventBridge(key)).toBe(key);
      }),
      { examples: [['a+b%20c'], ['bad%ZZ']] },
    ));

  it('are not empty', () => {
    expect(() => keyOfEventBridge('')).toThrow(expect.objectContaining({ code: 'E_OBJECT_KEY' }));
  });
});
