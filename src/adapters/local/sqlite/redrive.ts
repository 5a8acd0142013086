import type { Effects, MergeStates, RedriveRef } from '../../../domain/ports/result-store.ts';
import type { Connection } from './connection.ts';
import { applyEffects } from './effects.ts';
import { addOpen, findFailure, ownerOf, tryAgain, weightOf } from './failures.ts';
import { findGeneration } from './lookups.ts';
import { Owners } from './owners.ts';

export function applyRedrive(
  connection: Connection,
  mergeStates: MergeStates,
  redrive: RedriveRef,
  effects: Effects,
): 'applied' | 'failed-again' | 'closed' {
  const generationId = findGeneration(connection, redrive.generation);
  const known =
    generationId === undefined ? undefined : findFailure(connection, generationId, redrive.failure);
  if (generationId === undefined || known === undefined || known.state === 'closed') return 'closed';
  if (redrive.again !== null) {
    tryAgain(connection, known.id, redrive.again, redrive);
    return 'failed-again';
  }
  const owners = new Owners(connection, generationId, redrive);
  const owner = ownerOf(known);
  const weight = weightOf(known);
  applyEffects(connection, mergeStates, generationId, owner, owners, effects, redrive);
  addOpen(owners, owner, weight, -1);
  owners.add(owner, {
    redriven: redrive.messages,
    closedRowFailures: weight.rowFailures,
    closedMessageFailures: weight.messageFailures,
    closedFailedRows: weight.rows,
  });
  owners.save();
  connection.run(
    `UPDATE failures SET state = 'closed', run = ?, build = ?, tried_at = ?, closed_at = ?, closed_by = 'redrive' WHERE id = ?`,
    redrive.run,
    redrive.build,
    redrive.at,
    redrive.at,
    known.id,
  );
  return 'applied';
}
