import type { ErrorRouter, RoutedFailure } from '../../domain/ports/error-router.ts';
import { failureMessage, failureNotice } from './failure-message.ts';
import { inParallel } from './in-parallel.ts';
import type { SqsSender } from './sqs-batch.ts';

export interface AwsErrorRouterPorts {
  /** Gets every failure. */
  readonly ledger: ErrorRouter;
  /** The failure queue: gets what a redrive can settle (`dead-letter`). */
  readonly queue: Pick<SqsSender, 'send'>;
  /** Gets word of every failure. Default: nobody does. */
  readonly topic?: Pick<SqsSender, 'send'>;
}

/**
 * Failures to the ledger, all of them; to the failure queue, those of the route `dead-letter`, one message each; to the topic, word of
 * all of them. Messages have the attributes `pipeline`, `version`, `route`, `stage`, `code`, and `object` (bucket/key, percent-encoded as in a URL) or `source`.
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
      (stop: AbortSignal) => queue.send(dead.map(failureMessage), stop),
      (stop: AbortSignal) => topic?.send(failures.map(failureNotice), stop),
    ];
    await inParallel(ways, ways.length, signal, async (deliver, stop) => deliver(stop));
  }
}
