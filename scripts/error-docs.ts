import { errorCatalogue } from '../src/domain/error-codes.ts';

/** `docs/errors.md`, from the catalogue that the code itself uses. */
export function errorDocs(): string {
  const rows = Object.entries(errorCatalogue).map(([code, { kind, retryable, meaning, remedy }]) => {
    const handling = retryable ? 'retried' : kind === 'domain' ? 'kept as a failure' : 'ends the work';
    return `| \`${code}\` | ${kind} | ${handling} | ${cell(meaning)} | ${cell(remedy)} |`;
  });
  return [
    '# Error codes',
    '',
    '<!-- Written by `npm run docs` from src/domain/error-codes.ts. -->',
    '',
    'Codes are part of the API and keep their meaning; the texts of messages may change. A `domain` error is the fault of',
    'one row, message, object or pipeline: the same input fails again. An `infrastructure` error is the fault of what',
    'Sluice runs on. `isSluiceError(error)` tells both from everything else, whichever bundle made them; a pipeline may',
    'throw a `DomainError` with a code of its own.',
    '',
    '| code | kind | handling | meaning | what to do |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
