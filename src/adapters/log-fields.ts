import { isSluiceError, messageOf } from '../domain/errors.ts';
import type { LogFields } from '../domain/ports/ambient.ts';
import { describePosition } from '../domain/position.ts';

export interface TameOptions {
  /** Fields whose values stay out, besides those that are known for secrets. Upper or lower case, `-` and `_` make no difference. */
  readonly redact?: readonly string[];
  /** Whether payloads go in: only ever asked for on purpose. Default `false`. */
  readonly payloads?: boolean;
}

/** Whoever logs a failure or a row by mistake logs no customer's data with it. */
const PAYLOAD_FIELDS = new Set(['payload', 'row', 'raw', 'data']);
const SECRET_FIELDS =
  /password|passwd|passphrase|pwd|secret|credential|authorization|apikey|accesskey|privatekey|cookie|signature|connectionstring|(database|redis)url|tokens?$/;
/** What a logger writes itself. */
const OWN_FIELDS = new Set(['level', 'time', 'msg']);

const MAX_DEPTH = 6;
/** Of one text, in UTF-16 code units; of one list, in items. */
const MAX_TEXT = 8_192;
const MAX_ITEMS = 100;
export const REDACTED = '[redacted]';

/** Makes of whatever is to be logged what may be: plain data, bounded, without payloads and secrets. Never throws. */
export function tamer({ redact = [], payloads = false }: TameOptions = {}): (
  fields: LogFields,
) => Record<string, unknown> {
  const configured = new Set(redact.map(normalize));
  const left = (name: string) => !payloads && PAYLOAD_FIELDS.has(name);
  const secret = (name: string) => SECRET_FIELDS.test(normalize(name)) || configured.has(normalize(name));

  const tameFields = (fields: object, depth: number): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(fields)
        .filter(([name]) => !left(name))
        .map(([name, value]) => [name, secret(name) ? REDACTED : tameValue(value, depth + 1)]),
    );

  const tameValue = (value: unknown, depth: number): unknown => {
    if (typeof value === 'string') return cleanText(value);
    if (typeof value === 'bigint' || typeof value === 'symbol') return value.toString();
    if (typeof value === 'function') return '[function]';
    if (typeof value !== 'object' || value === null || value instanceof Date) return value;
    if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
    if (depth > MAX_DEPTH) return '…';
    if (value instanceof Error) return tameError(value, depth);
    if (value instanceof URL) return cleanText(value.href);
    if (value instanceof Map) return tameFields(Object.fromEntries(value), depth);
    if (Array.isArray(value) || value instanceof Set) return tameList([...value], depth);
    return tameFields(value, depth);
  };

  const tameList = (items: readonly unknown[], depth: number): unknown[] => {
    const shown = items.slice(0, MAX_ITEMS).map((item) => tameValue(item, depth + 1));
    return items.length > MAX_ITEMS ? [...shown, `… ${items.length - MAX_ITEMS} more`] : shown;
  };

  const tameError = (error: Error, depth: number): unknown => {
    const { code } = error as { code?: unknown };
    const { retryable, position } = isSluiceError(error) ? error : {};
    return {
      name: error.name,
      ...(code === undefined ? {} : { code: tameValue(code, depth + 1) }),
      ...(retryable === undefined ? {} : { retryable }),
      ...(position === undefined ? {} : { position: cleanText(describePosition(position)) }),
      message: cleanText(error.message),
      stack: typeof error.stack === 'string' ? cleanText(error.stack) : undefined,
      ...(error.cause === undefined ? {} : { cause: tameValue(error.cause, depth + 1) }),
      ...(error instanceof AggregateError ? { errors: tameList(error.errors, depth) } : {}),
    };
  };

  return (fields) => {
    try {
      const tame = tameFields(fields, 0);
      for (const name of OWN_FIELDS) {
        if (!Object.hasOwn(tame, name)) continue;
        tame[`${name}_`] = tame[name];
        delete tame[name];
      }
      return tame;
    } catch (thrown) {
      // A getter or a proxy that throws must not take the place of what was to be said.
      return { notLogged: cleanText(messageOf(thrown)) };
    }
  };
}

/** `://user:password@` in a URL, `Bearer abc` in a header, `password=abc` and `"token": "abc"` in anything. */
const SECRETS_IN_TEXT: readonly (readonly [RegExp, string])[] = [
  [/(:\/\/[^\s/:@]*):[^\s/]*@/g, `$1:${REDACTED}@`],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, `$1 ${REDACTED}`],
  [
    /((?:password|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|signature|x-amz-credential)\w{0,32}["']?\s{0,4}[:=]\s{0,4})("[^"]*"|'[^']*'|[^\s,;&"']+)/gi,
    `$1${REDACTED}`,
  ],
];

/** A text without the secrets that are known by what stands around them, and cut where it is very long. */
export function cleanText(text: string): string {
  // Twice as much as is kept: a secret must not lose what it is known by to the cut.
  let clean = text.length > 2 * MAX_TEXT ? text.slice(0, 2 * MAX_TEXT) : text;
  for (const [pattern, replacement] of SECRETS_IN_TEXT) clean = clean.replace(pattern, replacement);
  return text.length <= MAX_TEXT && clean.length <= MAX_TEXT
    ? clean
    : `${clean.slice(0, MAX_TEXT)}… of ${text.length} characters`;
}

function normalize(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}
