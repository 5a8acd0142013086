import { ledgerLine } from '../../../src/domain/ledger-line.ts';
import type { RoutedFailure } from '../../../src/domain/ports/error-router.ts';
import { fromTaggedJson, toTaggedJson } from '../../../src/application/values/tagged-json.ts';
import { decodeValue } from '../../../src/application/values/value-reader.ts';
import { encodeValue } from '../../../src/application/values/value-writer.ts';
import { agree, must, type Target } from '../target.ts';

/**
 * Lines of the failure ledger against `JSON.parse`: whatever keys, codes, messages and payloads hold, a failure is one line, one JSON object,
 * and says what it was given.
 */
export const ledgerLinesTarget: Target = {
  name: 'ledger-lines',
  share: 15,
  isJson: false,
  tokens: [
    '\n',
    '\r\n',
    '\u00e2\u0080\u00a8',
    '"',
    '\\',
    '\0',
    '{"level":"error"}',
    '__proto__',
    '..',
    '\u00ff',
    '\x1b[31m',
  ],
  open: () => ({
    corpus: [
      ...['lake/key', 'a message\nof two lines', '{"json":"text"}'].map((text) => Buffer.from(text)),
      encodeValue({ lane: 'FRA', delay: 1n }),
    ].map((bytes) => new Uint8Array(bytes)),
    check(input) {
      const text = Buffer.from(input).toString('utf8');
      const odd = Buffer.from(input.subarray(0, input.length & ~1)).toString('utf16le');
      const line = ledgerLine(failureWith(text, odd, input), { toJson, toBase64 });
      must(!/[\n\r]/.test(line), 'a failure of more than one line');
      const fields = JSON.parse(line) as Record<string, unknown>;
      agree('objects', fields['object'], { bucket: 'lake', key: text, version: odd, size: 1 });
      agree('texts', [fields['message'], fields['run']], [text, odd]);
      if ('payloadBase64' in fields) {
        agree('payloads', Buffer.from(fields['payloadBase64'] as string, 'base64'), Buffer.from(input));
        return 'refused';
      }
      // What the ledger shows is what the failure kept.
      agree('payloads', fromTaggedJson(JSON.stringify(fields['payload'])), fromTaggedJson(toJson(input)));
      return 'accepted';
    },
  }),
};

const toJson = (payload: Uint8Array): string => toTaggedJson(decodeValue(payload));
const toBase64 = (payload: Uint8Array): string => Buffer.from(payload).toString('base64');

function failureWith(text: string, odd: string, payload: Uint8Array): RoutedFailure {
  const object = { bucket: 'lake', key: text, version: odd, size: 1 };
  return {
    generation: 'p@1',
    pipeline: 'p',
    version: 1,
    run: odd,
    build: 'b',
    route: 'ledger',
    at: 0,
    failure: {
      id: 'f',
      position: { kind: 'row', object, coordinate: 1, output: null },
      stage: 'transform',
      code: 'E_TRANSFORM',
      message: text,
      rows: 1,
      payload,
    },
  };
}
