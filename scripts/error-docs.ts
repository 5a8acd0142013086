import { errorCatalogue } from '../src/domain/error-codes.ts';

/** `docs/errors.md`, from the catalogue that the code itself uses. */
export function errorDocs(): string {
  const rows = Object.entries(errorCatalogue).map(([code, { kind, retryable, meaning, remedy }]) => {
    return `| \`${code}\` | ${kind} | ${retryable ? 'yes' : 'no'} | ${cell(meaning)} | ${cell(remedy)} |`;
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
    'What is wrong with rows, messages and objects is kept as a failure, and the rest goes on; what is wrong with a command or with what',
    'a pipeline declares ends the command.',
    '',
    '| code | kind | retried | meaning | what to do |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

const START = '<!-- Written by `npm run docs`. -->\n<!-- prettier-ignore-start -->';
const END = '<!-- prettier-ignore-end -->';

/** The README with its table of codes as the catalogue has them. */
export function withErrorTable(readme: string): string {
  const from = readme.indexOf(START);
  const to = readme.indexOf(END, from);
  if (from < 0 || to < 0) throw new Error(`README.md needs ${START} and ${END}`);
  const rows = Object.entries(errorCatalogue).map(
    ([code, { meaning, remedy }]) => `| \`${code}\` | ${cell(meaning)} | ${cell(remedy)} |`,
  );
  const table = ['| code | meaning | what to do |', '| --- | --- | --- |', ...rows].join('\n');
  return `${readme.slice(0, from)}${START}\n\n${table}\n\n${readme.slice(to)}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
