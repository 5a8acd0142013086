import { InfrastructureError } from '../../../domain/errors.ts';
import type { KilledRow } from '../../../domain/ports/killed-rows.ts';
import type { MarkedRow } from '../../../domain/ports/row-mark.ts';

/** A worker is gone, with the task that it had. The message says why, as the end of a sentence about its row. */
export class WorkerEnded extends InfrastructureError {
  readonly how: KilledRow['how'];
  /** The row that it was in; `null`: none, or nobody knows. */
  readonly row: MarkedRow | null;

  constructor(message: string, { how, row }: Pick<WorkerEnded, 'how' | 'row'>) {
    super(message, { retryable: true });
    this.how = how;
    this.row = row;
  }
}
