import { expect, it } from 'vitest';
import { isListed } from '../../../src/adapters/aws/locations.ts';

it.each([
  ['a.csv', [], true],
  ['_a.csv', [], false],
  ['day=1/_temporary/a.csv', [], false],
  // What a place names itself is not hidden; what lies below it may be.
  ['_raw/a.csv', ['s3://lake/_raw/'], true],
  ['_raw/_temporary/a.csv', ['s3://lake/_raw/'], false],
  ['_raw-2/a.csv', ['s3://lake/_raw'], true],
  ['_raw/a.csv', ['s3://lake/'], false],
  ['_raw/a.csv', ['s3://lake/', 's3://lake/_raw/'], true],
  // Places of other buckets say nothing.
  ['_raw/a.csv', ['s3://lakes/_raw/'], false],
  ['a.csv', ['s3://lake/_raw/'], true],
] as const)('%s below %j is shown: %s', (key, places, shown) => {
  expect(isListed({ bucket: 'lake', key }, places)).toBe(shown);
});
