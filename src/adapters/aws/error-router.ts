import { isSluiceError } from '../../domain/errors.ts';
import type { Log } from '../../domain/ports/ambient.ts';
import type { ErrorRouter, RoutedFailure } from '../../domain/ports/error-router.ts';
import { failureMessage, failureNotice } from './failure-message.ts';
import { inParallel } from './in-parallel.ts';
import type { QueueMessage, SqsSender } from './sqs-batch.ts';

export interface AwsErrorRouterPorts {
  /** Gets every failure. */
  readonly ledger: ErrorRouter;
  /** The failure queue: gets what a redrive can settle (`dead-letter`). */
  readonly queue: Pick<SqsSender, 'send'>;
  /** Gets word of every failure. Default: nobody does. */
  readonly topic?: Pick<SqsSender, 'send'>;
  readonly log: Log;
}

/**
 * Failures to the ledger, all of them; to the failure queue, those of the route `dead-letter`, one message each; to the topic, word of
 * all of them. Messages have the attributes `pipeline`, `version`, `route`, `stage`, `code`, and `object` (bucket/key, percent-encoded as in a URL) or `source`.
 *
 * A message that queue or topic refuse for good is an error in the log, and delivers nothing less to anybody else: it would be refused again
 * whenever its frame came, and the ledger has the failure.
 */
export class AwsErrorRouter implements ErrorRouter {
  readonly #ports: AwsErrorRouterPorts;

  constructor(ports: AwsErrorRouterPorts) {
    this.#ports = ports;
  }

  async route(failures: readonly RoutedFailure[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (failures.length === 0) return;
    const { ledger, queue, topic } = this.#ports;
    const dead = failures.filter(({ route }) => route === 'dead-letter');
    const ways = [
      (stop: AbortSignal) => ledger.route(failures, stop),
      (stop: AbortSignal) => this.#send(queue, dead.map(failureMessage), stop),
      (stop: AbortSignal) => this.#send(topic, failures.map(failureNotice), stop),
    ];
    await inParallel(ways, ways.length, signal, async (deliver, stop) => deliver(stop));
  }

  async #send(
    to: Pick<SqsSender, 'send'> | undefined,
    messages: readonly QueueMessage[],
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await to?.send(messages, signal);
    } catch (thrown) {
      if (!isSluiceError(thrown) || thrown.code !== 'E_QUEUE_REJECTED' || thrown.retryable) throw thrown;
      this.#ports.log.error(
        { code: thrown.code, error: thrown },
        'copies of failures are in the ledger alone',
      );
    }
  }
}
