import type { Effects, MergeStates, RedriveRef } from '../../domain/ports/result-store.ts';
import { applyEffects } from './effects.ts';
import { addOpen, failureColumns, ownerOf, tryAgain, weightOf, type KnownFailure } from './failures.ts';
import { Owners } from './owners.ts';
import { Changed, type Transaction } from './transaction.ts';

export async function applyRedrive(
  transaction: Transaction,
  mergeStates: MergeStates,
  redrive: RedriveRef,
  effects: Effects,
): Promise<'applied' | 'failed-again' | 'closed'> {
  const { run, build, at, again } = redrive;
  const known = await transaction.get<KnownFailure & { generationId: number }>(
    `SELECT ${failureColumns}, g.id AS "generationId" FROM generations g JOIN failures f ON f.generation_id = g.id
     WHERE g.generation = $1 AND f.failure = $2`,
    redrive.generation,
    redrive.failure,
  );
  if (known === undefined || known.state === 'closed') return 'closed';
  if (again !== null) {
    if (!(await tryAgain(transaction, known, again, redrive))) throw new Changed();
    return 'failed-again';
  }
  const close = async (): Promise<void> => {
    const closed = await transaction.run(
      `UPDATE failures SET state = 'closed', run = $1, build = $2, tried_at = $3, closed_at = $3, closed_by = 'redrive'
       WHERE id = $4 AND state = 'open'`,
      run,
      build,
      at,
      known.id,
    );
    if (closed === 0) throw new Changed();
  };
  const owners = new Owners(transaction, known.generationId, redrive);
  const owner = ownerOf(known);
  const weight = weightOf(known);
  await applyEffects(transaction, mergeStates, known.generationId, owner, owners, effects, redrive, close);
  addOpen(owners, owner, weight, -1);
  owners.add(owner, {
    redriven: redrive.messages,
    closedRowFailures: weight.rowFailures,
    closedMessageFailures: weight.messageFailures,
    closedFailedRows: weight.rows,
  });
  await owners.save();
  return 'applied';
}
