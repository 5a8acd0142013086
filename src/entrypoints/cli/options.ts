import { InvalidArgumentError, Option } from 'commander';
import { DomainError, messageOf } from '../../domain/errors.ts';
import { parseWhere } from '../../domain/predicate.ts';
import type { Where } from '../../domain/where.ts';

/** Options that several commands share: one spelling, one meaning. */

export const DEFAULT_OUT = 'sluice-out';

export const outOption = () =>
  new Option('--out <dir>', 'folder of results and failures').default(DEFAULT_OUT);

export const databaseOption = () =>
  new Option(
    '--database [url]',
    'results in PostgreSQL, or in S3 (s3://bucket/prefix), instead of the folder; without a URL, the one in SLUICE_DATABASE_URL or SLUICE_RESULTS',
  );

/** @param flag as `databaseOption` gives it: `true` where no URL was named, which keeps passwords off the command line */
export function databaseUrl(flag: string | true | undefined): string | undefined {
  if (flag !== true) return flag;
  const url = process.env['SLUICE_DATABASE_URL'] || process.env['SLUICE_RESULTS'];
  if (url === undefined || url === '') {
    throw new DomainError(
      '--database names no URL, and neither SLUICE_DATABASE_URL nor SLUICE_RESULTS is set',
      {
        code: 'E_USAGE',
      },
    );
  }
  return url;
}

export const jsonOption = () =>
  new Option('--json', 'print one JSON object on stdout, and nothing else there');

export const whereOption = (of: string) =>
  new Option('--where <json>', `a predicate on ${of}, e.g. '{"delay":{"$gte":60}}'`).argParser(whereArgument);

export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`It has to be a whole number from ${least}.`);
    return value;
  };
}

/** ISO 8601, or how long ago: `90s`, `15m`, `2h`, `7d`. Returns milliseconds since 1970. */
export function timeArgument(now: () => number): (text: string) => number {
  return (text) => {
    const ago = /^(\d+)([smhd])$/.exec(text);
    if (ago !== null) {
      const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[ago[2] as 's' | 'm' | 'h' | 'd'];
      return now() - Number(ago[1]) * unit * 1000;
    }
    const time = Date.parse(text);
    if (Number.isNaN(time)) throw new InvalidArgumentError('It has to be ISO 8601 or like 15m, 2h, 7d.');
    return time;
  };
}

function whereArgument(text: string): Where {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw new DomainError(`--where is not JSON: ${messageOf(thrown)}`, {
      code: 'E_WHERE_INVALID',
      cause: thrown,
    });
  }
  return parseWhere(value);
}
