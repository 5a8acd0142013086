import type { Effects, MergeStates } from '../../domain/ports/result-store.ts';
import type { Owner } from './counts.ts';
import { insertFailures, type Attempt } from './failures.ts';
import { saveFlags } from './flags.ts';
import { mergeGroups } from './groups.ts';
import type { Owners } from './owners.ts';
import type { Transaction } from './transaction.ts';

/**
 * Adds what a frame does to the results; `owner` is where its messages come from.
 *
 * @param betweenFlagsAndFailures what has its place there in the order of locks
 */
export async function applyEffects(
  transaction: Transaction,
  mergeStates: MergeStates,
  generationId: number,
  owner: Owner,
  owners: Owners,
  { groups, flags, failures, applied }: Effects,
  attempt: Attempt,
  betweenFlagsAndFailures: () => Promise<void> = async () => {},
): Promise<void> {
  await owners.find([...flags, ...failures].map(({ position }) => position));
  await mergeGroups(transaction, mergeStates, generationId, groups);
  await saveFlags(transaction, owners, flags);
  await betweenFlagsAndFailures();
  await insertFailures(transaction, generationId, owners, failures, attempt);
  owners.add(owner, { applied });
}
