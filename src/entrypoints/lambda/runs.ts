import { DomainError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import type { ResultStore, RunRecord } from '../../domain/ports/result-store.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** What a run says of itself while it goes on, as the JSON of its `report`. */
export type RunKind =
  /** Planned as a whole by an order. `report` is `null` until its listing has met the end. */
  | 'order'
  /** Objects that came in on one day. */
  | 'arrivals'
  /** Messages from elsewhere that came in on one day. */
  | 'messages'
  /** Failures of one day that were sent back. */
  | 'redrives';

/**
 * The run of what comes in by itself: one a day (UTC) and kind, or there would be as many as objects. Named after its generation:
 * several pipelines may keep their results in one database.
 */
export function dailyRun(
  generation: string,
  kind: Exclude<RunKind, 'order'>,
  now: number,
  source?: string,
): string {
  const day = new Date(now).toISOString().slice(0, 10);
  return [generation, kind, ...(source === undefined ? [] : [source]), day].join('-');
}

/** Whether nothing is added any more to what was a day's run when it began: the longest invocation is over, too. */
export function isDayOver(startedAt: number, now: number): boolean {
  return now > (Math.floor(startedAt / DAY_MS) + 1) * DAY_MS + DAY_MS / 24;
}

/**
 * Makes a run known, if it is not, and open, if it was finished; calls that go on with it leave it as it began.
 *
 * @throws DomainError `E_EVENT` where another generation has a run of this name
 */
export async function beginRun(
  run: Pick<RunRecord, 'id' | 'generation' | 'build' | 'report'>,
  { store, clock }: { readonly store: ResultStore; readonly clock: Pick<Clock, 'now'> },
  signal: AbortSignal,
): Promise<RunRecord> {
  const known = await store.run(run.id, signal);
  if (known !== undefined && known.generation !== run.generation) {
    throw new DomainError(`run ${run.id} belongs to ${known.generation}, and this is ${run.generation}`, {
      code: 'E_EVENT',
    });
  }
  if (known?.finishedAt === null) return known;
  const record = { ...run, startedAt: known?.startedAt ?? clock.now(), finishedAt: null };
  await store.saveRun(record, signal);
  return record;
}
