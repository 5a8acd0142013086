import { DomainError } from '../../domain/errors.ts';

/**
 * The key that an S3 notification names: there keys are encoded as in a form, percent-encoded UTF-8 with `+` for a space. The
 * decoded key is a plain name: `..%2Fx` is the object `../x`, and no path that leads anywhere.
 *
 * @throws DomainError `E_OBJECT_KEY` where it is empty or cannot be decoded (`bad%ZZ`)
 */
export function keyOfNotification(encoded: string): string {
  try {
    return checked(decodeURIComponent(encoded.replaceAll('+', ' ')), encoded);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    throw refusal(encoded, cause);
  }
}

/**
 * The key that an event of EventBridge names: there keys stand as they are, `+` and `%` for themselves.
 *
 * @throws DomainError `E_OBJECT_KEY` where it is empty
 */
export function keyOfEventBridge(key: string): string {
  return checked(key, key);
}

/** No object has an empty key: it would read as the whole bucket. */
function checked(key: string, encoded: string): string {
  if (key === '') throw refusal(encoded);
  return key;
}

function refusal(encoded: string, cause?: unknown): DomainError {
  return new DomainError(`An event names an object by ${JSON.stringify(encoded)}, which is no key`, {
    code: 'E_OBJECT_KEY',
    cause,
  });
}
