import type { Failure } from './failure.ts';

/** `dead-letter`: worth a redrive once the code is mended. `ledger`: kept for the record; the data itself must change. */
export type FailureRoute = 'dead-letter' | 'ledger';

/** What a redrive can settle goes to the dead letters; what is wrong with the bytes themselves is only recorded. */
export function routeOf({ stage, position }: Pick<Failure, 'stage' | 'position'>): FailureRoute {
  const isOfObject = position.kind === 'row' && position.coordinate === null;
  return isOfObject || stage === 'open' || stage === 'read' || stage === 'findings'
    ? 'ledger'
    : 'dead-letter';
}
