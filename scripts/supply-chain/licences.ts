import { nameOf, productionPackages, readLockfile, readManifest, type Lockfile } from './lockfile.ts';

/** Licences that ask for no more than their notice. */
const ALLOWED: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
]);

/** An SPDX expression: of an `OR` one has to be allowed, of an `AND` all. Parentheses only around all of it: others are read by nobody here. */
export function isAllowedLicence(expression: string | undefined): boolean {
  if (expression === undefined) return false;
  const plain = expression.replace(/^\((.*)\)$/, '$1');
  return plain.split(' OR ').some((choice) => choice.split(' AND ').every((licence) => ALLOWED.has(licence)));
}

/** Packages that are shipped or installed with a published package, and may not be. */
export function licenceProblems(lockfile: Lockfile): string[] {
  return productionPackages(lockfile)
    .filter(([, { license }]) => !isAllowedLicence(license))
    .map(([path, { license = 'none that it declares' }]) => `${path} has the licence ${license}`);
}

/** `docs/licences.md` */
export function licenceDocs(folders: readonly string[]): string {
  return [
    '# Licences',
    '',
    '<!-- Written by `npm run licences` from the lockfiles. -->',
    '<!-- prettier-ignore-start -->',
    '',
    'The packages that come with Sluice, on every platform together, and under which licence. A licence that asks for more than its notice fails',
    'the tests. `sluice build` writes the texts of what is in a bundle beside it, as `licences.txt`.',
    ...folders.flatMap((folder) => ['', ...section(readManifest(folder).name, readLockfile(folder))]),
    '',
    '<!-- prettier-ignore-end -->',
    '',
  ].join('\n');
}

function section(name: string, lockfile: Lockfile): string[] {
  const rows = productionPackages(lockfile).map(
    ([path, locked]) => `| \`${nameOf(path, locked)}\` | ${locked.version} | ${locked.license} |`,
  );
  return [
    `## ${name}`,
    '',
    '| package | version | licence |',
    '| --- | --- | --- |',
    ...new Set(rows.sort()),
  ];
}
