import type { Clock } from '../../../domain/ports/ambient.ts';
import type { Deployed, DeploymentCalls } from './calls.ts';

export interface DrainOptions {
  /** In milliseconds. */
  readonly limitMs: number;
  /** Between two looks, in milliseconds. Default 10,000. */
  readonly intervalMs?: number;
  /** Told of every look. */
  readonly report: (left: Left) => void;
}

/** What is under way. */
export interface Left {
  /** Orders that dispatch still carries out. */
  readonly orders: number;
  readonly tasks: number;
  /** In milliseconds: how far analyze is behind. */
  readonly ageMs: number;
}

const DEFAULT_INTERVAL_MS = 10_000;
/** Counts of SQS are eventually right, and a task may be between two counts: nothing is believed that is not seen so often in a row. */
const CALM_LOOKS = 3;
/** A batch is gathered for a while even where nothing waits. */
const CALM_AGE_MS = 10_000;

/**
 * Waits until nothing is under way any more: what dispatch had begun, tasks, and frames. Dispatch has to be stopped.
 *
 * @returns what is left where the limit came first; `null` where nothing is
 */
export async function drain(
  deployed: Pick<Deployed, 'dispatchQueue' | 'taskQueue' | 'analyzeFunction'>,
  { limitMs, intervalMs = DEFAULT_INTERVAL_MS, report }: DrainOptions,
  calls: Pick<DeploymentCalls, 'queueDepth' | 'iteratorAge'>,
  clock: Clock,
  signal: AbortSignal,
): Promise<Left | null> {
  const until = clock.now() + limitMs;
  let calm = 0;
  for (;;) {
    const [orders, tasks, ageMs] = await Promise.all([
      calls.queueDepth(deployed.dispatchQueue, signal),
      calls.queueDepth(deployed.taskQueue, signal),
      calls.iteratorAge(deployed.analyzeFunction, signal),
    ]);
    // Orders that wait are for the new build; only what dispatch has in hand counts.
    const left = {
      orders: orders.inFlight,
      tasks: tasks.visible + tasks.inFlight + tasks.delayed,
      ageMs,
    };
    report(left);
    calm = left.orders === 0 && left.tasks === 0 && left.ageMs <= CALM_AGE_MS ? calm + 1 : 0;
    if (calm >= CALM_LOOKS) return null;
    const rest = until - clock.now();
    if (rest <= 0) return left;
    await clock.sleep(Math.min(intervalMs, rest), signal);
  }
}
