import { expect, test } from 'vitest';
import { lowestSequenceNumber, readBatchResponse } from '../../src/testing/lambda/batch-response.ts';

const items = new Set(['a', 'b']);

test.each([null, undefined, {}, { batchItemFailures: null }, { batchItemFailures: [] }, { other: 1 }])(
  '%j is success',
  (answer) => {
    expect(readBatchResponse(answer, items)).toEqual({ kind: 'success' });
  },
);

test.each([
  { batchItemFailures: [{ itemIdentifier: '' }] },
  { batchItemFailures: [{ itemIdentifier: null }] },
  { batchItemFailures: [{ id: 'a' }] },
  { batchItemFailures: [{ itemIdentifier: 'c' }] },
  { batchItemFailures: [{ itemIdentifier: 'a' }, { itemIdentifier: '' }] },
  { batchItemFailures: [null] },
  { batchItemFailures: 'a' },
  'done',
  [],
])('%j is failure', (answer) => {
  expect(readBatchResponse(answer, items)).toEqual({ kind: 'failure' });
});

test('known identifiers are what failed', () => {
  expect(readBatchResponse({ batchItemFailures: [{ itemIdentifier: 'b' }] }, items)).toEqual({
    kind: 'partial',
    failed: ['b'],
  });
});

test('sequence numbers are compared as numbers, also where a double would not tell them apart', () => {
  expect(lowestSequenceNumber(['10', '9', '100'])).toBe('9');
  const long = '4968048603448278670503991046604094452735124531388507752';
  expect(lowestSequenceNumber([`${long}2`, `${long}1`, `${long}3`])).toBe(`${long}1`);
});
