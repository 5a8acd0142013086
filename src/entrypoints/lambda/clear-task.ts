import { DomainError, InfrastructureError, isDomainError } from '../../domain/errors.ts';
import type { Clock, Log } from '../../domain/ports/ambient.ts';
import type { KilledRow, KilledRows } from '../../domain/ports/killed-rows.ts';
import { isBehind, type MarkedRow } from '../../domain/ports/row-mark.ts';
import type { Task } from '../../domain/section.ts';
import type { Probe } from './probe-process.ts';

/** What is left for storing a verdict and for handing the task on, in milliseconds; never more than a quarter of the time that there is. */
const MARGIN_MS = 5_000;
/** A row that hangs twice must fit into the time that there is, with the starts of processes. */
const ROWS_IN_TIME = 3;
/** Of one task: more is no row that is odd, but a `transform` that is broken. */
const MAX_VERDICTS = 20;

export interface ClearContext {
  /** Milliseconds that a row may take. */
  readonly rowTimeoutMs: number;
  /** Milliseconds since 1970. */
  readonly endsAt: number;
  readonly signal: AbortSignal;
}

export interface ClearPorts {
  readonly probe: Probe;
  readonly killed: KilledRows;
  readonly clock: Clock;
  readonly log: Log;
}

/** Whether a task has to be cleared before it is transformed: it was given out before and is not done, and nobody knows why. */
export function isSuspected({ cleared }: Task, receiveCount: number): boolean {
  return cleared === undefined ? receiveCount > 1 : cleared !== 'all';
}

/**
 * Finds the rows of a task that hang a process or end it, as far as there is time, and stores a verdict on each.
 *
 *     probe ──ended in a row──▶ probe from that row on ──ended in the same row──▶ verdict, probe from there on
 *       │                             └─ went past it: it was not the row
 *       └─ came to the end: all is cleared
 *
 * One death says little: memory may run out in a row because of those before it, or time because the machine stood still. So a
 * row gets its verdict only where a fresh process that does nothing else before it does not come past it either.
 *
 * @returns the task, cleared further: to be handed on, since what is left of the time may not suffice for a section
 * @throws DomainError `E_KILLED`: so many of its rows have verdicts that it is of no use to go on
 * @throws InfrastructureError no row was cleared in all that time, or the object cannot be reached
 */
export async function clearTask(task: Task, context: ClearContext, ports: ClearPorts): Promise<Task> {
  const { signal, endsAt } = context;
  const { clock, log } = ports;
  const ms = endsAt - clock.now();
  const probeMs = ms - Math.min(MARGIN_MS, ms / 4);
  const rowTimeoutMs = Math.min(context.rowTimeoutMs, probeMs / ROWS_IN_TIME);
  const late = new AbortController();
  const over = new AbortController();
  const timer = clock.sleep(probeMs, over.signal).then(
    () => late.abort(),
    () => undefined,
  );
  const stop = AbortSignal.any([signal, late.signal]);
  try {
    for (let clearing = task, verdicts = 0; ;) {
      const killed = await ports.killed.of(task, signal);
      refuseBroken(task, killed);
      const outcome = await probing(clearing, killed, rowTimeoutMs, stop, ports);
      signal.throwIfAborted();
      if (outcome.kind === 'clear') return { ...task, cleared: 'all' };
      const from = typeof clearing.cleared === 'object' ? clearing.cleared : null;
      if (outcome.kind === 'stopped') {
        const last = furthest(from, outcome.last);
        const isFurther = last !== null && (task.cleared === undefined || last !== task.cleared);
        if (!isFurther && verdicts === 0) throw noProgress(task);
        return last === null ? task : { ...task, cleared: last };
      }
      const { row, how, message } = outcome;
      const where = { task: task.id, object: `${task.object.bucket}/${task.object.key}`, ...row, how };
      log.warn(where, `a probe ended${row === null ? '' : ' in a row'}: ${message}`);
      // In no row: there is none to be found. Whoever counts deliveries decides how often the task is tried.
      if (row === null) return { ...task, cleared: 'all' };
      if (from !== null && !isBehind(row, from)) {
        const verdict = { ...row, how, message: `transform killed this row: ${message}` };
        await ports.killed.add(task, verdict, signal);
        verdicts++;
      }
      clearing = { ...task, cleared: row };
    }
  } finally {
    over.abort();
    await timer;
  }
}

async function probing(
  task: Task,
  killed: readonly KilledRow[],
  rowTimeoutMs: number,
  signal: AbortSignal,
  { probe, log }: ClearPorts,
): ReturnType<Probe> {
  try {
    return await probe({ task, killed }, rowTimeoutMs, signal);
  } catch (thrown) {
    if (!isDomainError(thrown)) throw thrown;
    // It cannot be read: to say so is the business of whoever transforms it.
    log.info({ task: task.id, code: thrown.code }, `a probe has nothing to find: ${thrown.message}`);
    return { kind: 'clear' };
  }
}

function furthest(one: MarkedRow | null, other: MarkedRow | null): MarkedRow | null {
  if (one === null || other === null) return one ?? other;
  return isBehind(other, one) ? other : one;
}

function refuseBroken({ object, sections: { from, to } }: Task, killed: readonly KilledRow[]): void {
  const own = killed.filter(({ section }) => section >= from && (to === null || section <= to));
  if (own.length < MAX_VERDICTS) return;
  const last = own.at(-1)?.message ?? '';
  throw new DomainError(
    `${own.length} rows of sections ${from} to ${to ?? 'the last'} of ${object.key} have verdicts, the last: ${last}. transform is broken`,
    { code: 'E_KILLED' },
  );
}

function noProgress({ object }: Task): InfrastructureError {
  return new InfrastructureError(
    `the time of an invocation does not suffice to get past a row of ${object.key} in a probe`,
    { code: 'E_DEADLINE', retryable: true },
  );
}
