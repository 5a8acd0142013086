import { errorCatalogue, type ErrorCode } from '../../domain/error-codes.ts';
import { isSluiceError, messageOf } from '../../domain/errors.ts';

export interface ErrorFields {
  readonly code: string;
  readonly message: string;
  /** What to do; empty where nothing is known. */
  readonly remedy: string;
}

/** An error as a script reads it. */
export function errorFields(thrown: unknown): ErrorFields {
  const code = isSluiceError(thrown) ? thrown.code : 'E_INTERNAL';
  const remedy = Object.hasOwn(errorCatalogue, code) ? errorCatalogue[code as ErrorCode].remedy : '';
  return { code, message: messageOf(thrown), remedy };
}

/** An error as a person reads it: what happened, what to do, and where it came from if that is a defect of ours. */
export function describeError(thrown: unknown): string {
  const { code, message, remedy } = errorFields(thrown);
  const lines = [`${code}: ${message}`];
  if (remedy !== '') lines.push(`  ${remedy}`);
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  if (cause instanceof Error && cause.message !== '' && !message.includes(cause.message))
    lines.push(`  caused by: ${cause.message}`);
  if (!isSluiceError(thrown) && thrown instanceof Error && thrown.stack !== undefined)
    lines.push(thrown.stack);
  return `${lines.join('\n')}\n`;
}
