/** What a function said about its batch, as an event source mapping reads it. */
export type BatchVerdict =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure' }
  /** These items failed, at least one. */
  | { readonly kind: 'partial'; readonly failed: readonly string[] };

/**
 * Reads an answer under `ReportBatchItemFailures` as AWS documents it: nothing, an empty object, and a list that is null or
 * empty are success; an item whose identifier is empty, null, under another name or of no item of the batch fails the whole
 * batch. AWS does not document an answer that is no object, or a list that is none: here they fail the whole batch.
 */
export function readBatchResponse(answer: unknown, items: ReadonlySet<string>): BatchVerdict {
  if (answer === null || answer === undefined) return { kind: 'success' };
  if (typeof answer !== 'object' || Array.isArray(answer)) return { kind: 'failure' };
  const failures = (answer as { readonly batchItemFailures?: unknown }).batchItemFailures ?? [];
  if (!Array.isArray(failures)) return { kind: 'failure' };
  const failed = failures.map(identifierOf);
  if (failed.length === 0) return { kind: 'success' };
  return failed.every((identifier) => identifier !== null && items.has(identifier))
    ? { kind: 'partial', failed: failed as string[] }
    : { kind: 'failure' };
}

function identifierOf(failure: unknown): string | null {
  const { itemIdentifier } = (failure ?? {}) as { readonly itemIdentifier?: unknown };
  return typeof itemIdentifier === 'string' && itemIdentifier !== '' ? itemIdentifier : null;
}

/** Sequence numbers have up to 56 digits, and not all the same number of them. */
export function lowestSequenceNumber(numbers: readonly string[]): string {
  return numbers.reduce((lowest, each) => (BigInt(each) < BigInt(lowest) ? each : lowest));
}
