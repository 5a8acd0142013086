import { isUtf8 } from 'node:buffer';
import { keyOfEventBridge, keyOfNotification } from '../../../src/adapters/aws/object-keys.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target } from '../target.ts';

/**
 * Keys of S3's notifications against `URLSearchParams`, which reads forms. Stricter on purpose: what is no percent-encoding of UTF-8, and
 * an empty key, where the other lets bytes stand or replaces them.
 */
export const objectKeysTarget: Target = {
  name: 'object-keys',
  share: 20,
  isJson: false,
  tokens: [
    '%',
    '%2F',
    '%2f..',
    '..%2F',
    '+',
    '%20',
    '%C3%A9',
    '%ZZ',
    '%E2%82',
    '%00',
    '%0A',
    '&',
    '=',
    '#',
    '%25',
    '%F0%9D%84%9E',
    '\u00c3\u00a9',
  ],
  open: () => ({
    corpus: [
      'lake/yyyy%3D2019/key.parquet',
      'a+b%2Bc%20d',
      '..%2F..%2Fetc',
      'line%0Abreak',
      '%C3%A9%E2%82%AC%F0%9D%84%9E',
      'x',
    ].map((text) => new Uint8Array(Buffer.from(text))),
    async check(input) {
      const encoded = Buffer.from(input).toString('utf8');
      const asIs = await outcomeOf(['E_OBJECT_KEY'], () => keyOfEventBridge(encoded));
      agree('keys of EventBridge', asIs.value ?? '', encoded);
      const { value: key } = await outcomeOf(['E_OBJECT_KEY'], () => keyOfNotification(encoded));
      const bytes = percentDecoded(encoded);
      const isSound = bytes !== null && bytes.length > 0 && isUtf8(bytes);
      agree('acceptance', key !== undefined, isSound);
      if (key === undefined) return 'refused';
      agree('keys', key, new URLSearchParams(`k=${encoded.replaceAll('&', '%26')}`).get('k'));
      must(key !== '', 'an empty key');
      return 'accepted';
    },
  }),
};

/** `null` where a percent sign is followed by something else than two hex digits. */
function percentDecoded(text: string): Buffer | null {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return null;
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  return Buffer.from(
    bytes.replaceAll(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}
