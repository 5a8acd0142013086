import type { Failure } from './failure.ts';
import type { FailureRecord } from './ports/result-store.ts';

/** `dead-letter`: worth a redrive once the code is mended. `ledger`: kept for the record; the data itself must change. */
export type FailureRoute = 'dead-letter' | 'ledger';

/** What a redrive can settle goes to the dead letters; what is wrong with the bytes themselves is only recorded. */
export function routeOf({ stage, position }: Pick<Failure, 'stage' | 'position'>): FailureRoute {
  const isOfObject = position.kind === 'row' && position.coordinate === null;
  return isOfObject || stage === 'open' || stage === 'read' || stage === 'findings'
    ? 'ledger'
    : 'dead-letter';
}

/** While a deployment is under way two builds could hand a failure to each other; so often it is tried at most before a person has to ask. */
export const MAX_UNASKED_ATTEMPTS = 5;

/**
 * Whether a failure is redriven without anybody asking for it. Pipelines are deterministic, and what fails outside of them is retried and
 * never becomes a failure of a row: the build that failed it would only fail it again.
 */
export function isRedrivenUnasked(
  { build, attempts }: Pick<FailureRecord, 'build' | 'attempts'>,
  running: string,
): boolean {
  return build !== running && attempts < MAX_UNASKED_ATTEMPTS;
}
