import type { Task } from '../section.ts';

/** Tasks on their way to `transform`: delivered at least once, in no particular order. */
export interface TaskQueue {
  readonly capabilities: TaskQueueCapabilities;

  /** Resolves when every task is kept by the queue. */
  send(tasks: readonly Task[], signal: AbortSignal): Promise<void>;

  /**
   * Up to `max` tasks, hidden from other receivers for `visibilityMs`; empty where there is none just now.
   * A task that is not deleted by then is delivered again.
   */
  receive(max: number, visibilityMs: number, signal: AbortSignal): Promise<readonly ReceivedTask[]>;

  /** Hides a task for `visibilityMs` from now on; 0 gives it back at once. `false`: the receipt has lapsed. */
  extend(receipt: string, visibilityMs: number, signal: AbortSignal): Promise<boolean>;

  /** Ends a task. `false`: the receipt has lapsed and somebody else may have the task. */
  delete(receipt: string, signal: AbortSignal): Promise<boolean>;
}

export interface ReceivedTask {
  readonly task: Task;
  readonly receipt: string;
  /** 1 at the first delivery. */
  readonly receiveCount: number;
}

export interface TaskQueueCapabilities {
  /** Tasks in one `send` to the provider; the adapter splits larger calls. */
  readonly maxBatchTasks: number;
  /** Tasks in one `receive`. */
  readonly maxReceiveTasks: number;
  /** Visibility is rounded up to whole multiples of it, in milliseconds. Default 1. */
  readonly visibilityStepMs?: number;
  /** No task is hidden for longer, in milliseconds, whatever was asked for. Default: no bound. */
  readonly maxVisibilityMs?: number;
}
