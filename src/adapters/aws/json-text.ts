import type { DomainError } from '../../domain/errors.ts';

/**
 * What a text says as JSON.
 *
 * @param refusal thrown where it is none. The parser's own words quote the text, and payloads never go into logs, not as a cause either
 */
export function jsonOf(text: string, refusal: () => DomainError): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw refusal();
  }
}
