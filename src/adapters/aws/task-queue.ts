import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { Clock, Log } from '../../domain/ports/ambient.ts';
import type { ReceivedTask, TaskQueue, TaskQueueCapabilities } from '../../domain/ports/task-queue.ts';
import type { Task } from '../../domain/section.ts';
import type { ClaimCheck } from './claim-check.ts';
import { MAX_BATCH_MESSAGES, type SqsSender } from './sqs-batch.ts';
import type { ReceivedMessage, SqsCalls } from './sqs-client.ts';
import { bodyOfTask, taskOfBody } from './sqs-message.ts';

/** Messages that SQS gives at once. */
const MAX_RECEIVE_MESSAGES = 10;
/** SQS counts whole seconds. */
const SECOND_MS = 1_000;
/** And hides no message for longer: 12 hours. */
const MAX_VISIBILITY_SECONDS = 12 * 60 * 60;
/** How long a message is hidden to find out whether a receipt still holds it; it is deleted at once. */
const PROBE_SECONDS = 30;

export interface SqsTaskQueuePorts {
  readonly calls: Pick<SqsCalls, 'receive' | 'changeVisibility' | 'delete'>;
  /** Of the same queue. */
  readonly sender: Pick<SqsSender, 'send'>;
  readonly claims: Pick<ClaimCheck, 'redeem'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Tasks in an SQS queue. What cannot be read as a task is logged, not given: it comes back until the queue's redrive policy
 * makes it a dead letter.
 *
 * SQS deletes a message also for a receipt that has lapsed, while nobody else has it: so this queue keeps the time of the
 * receipts that it gave, and asks SQS for those of others (an event's).
 */
export class SqsTaskQueue implements TaskQueue {
  readonly capabilities: TaskQueueCapabilities = {
    maxBatchTasks: MAX_BATCH_MESSAGES,
    maxReceiveTasks: MAX_RECEIVE_MESSAGES,
    visibilityStepMs: SECOND_MS,
    maxVisibilityMs: MAX_VISIBILITY_SECONDS * SECOND_MS,
  };
  readonly #ports: SqsTaskQueuePorts;
  readonly #queueUrl: string;
  /** Until when the receipts hold their tasks, in milliseconds since 1970. */
  readonly #heldUntil = new Map<string, number>();

  constructor(ports: SqsTaskQueuePorts, { queueUrl }: { readonly queueUrl: string }) {
    this.#ports = ports;
    this.#queueUrl = queueUrl;
  }

  async send(tasks: readonly Task[], signal: AbortSignal): Promise<void> {
    await this.#ports.sender.send(
      tasks.map((task) => ({ body: bodyOfTask(task) })),
      signal,
    );
  }

  async receive(max: number, visibilityMs: number, signal: AbortSignal): Promise<readonly ReceivedTask[]> {
    signal.throwIfAborted();
    const seconds = secondsOf(visibilityMs);
    // Before the call: a receipt must never seem to hold for longer than it does.
    const now = this.#ports.clock.now();
    const messages = await this.#ports.calls.receive(
      this.#queueUrl,
      Math.min(max, MAX_RECEIVE_MESSAGES),
      seconds,
      signal,
    );
    for (const [receipt, until] of this.#heldUntil) if (until <= now) this.#heldUntil.delete(receipt);
    for (const { receipt } of messages) this.#heldUntil.set(receipt, now + seconds * SECOND_MS);
    const tasks = await Promise.all(messages.map((message) => this.#taskOf(message, signal)));
    return tasks.filter((task) => task !== undefined);
  }

  async extend(receipt: string, visibilityMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const until = this.#heldUntil.get(receipt);
    const now = this.#ports.clock.now();
    if (until !== undefined && until <= now) return false;
    const seconds = secondsOf(visibilityMs);
    const held = await this.#ports.calls.changeVisibility(this.#queueUrl, receipt, seconds, signal);
    if (until !== undefined) this.#heldUntil.set(receipt, held ? now + seconds * SECOND_MS : 0);
    return held;
  }

  async delete(receipt: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const until = this.#heldUntil.get(receipt);
    const held =
      until === undefined
        ? await this.#ports.calls.changeVisibility(this.#queueUrl, receipt, PROBE_SECONDS, signal)
        : until > this.#ports.clock.now();
    if (!held) return false;
    const deleted = await this.#ports.calls.delete(this.#queueUrl, receipt, signal);
    if (until !== undefined) this.#heldUntil.set(receipt, 0);
    return deleted;
  }

  async #taskOf(
    { body, receipt, receiveCount }: ReceivedMessage,
    signal: AbortSignal,
  ): Promise<ReceivedTask | undefined> {
    try {
      return { task: await taskOfBody(body, this.#ports.claims, signal), receipt, receiveCount };
    } catch (thrown) {
      signal.throwIfAborted();
      const code = isSluiceError(thrown) ? thrown.code : undefined;
      this.#ports.log.error({ code, receiveCount }, `a message was left in the queue: ${messageOf(thrown)}`);
      return undefined;
    }
  }
}

/** Hidden for longer rather than for too short. */
function secondsOf(ms: number): number {
  return Math.min(MAX_VISIBILITY_SECONDS, Math.ceil(Math.max(0, ms) / SECOND_MS));
}
