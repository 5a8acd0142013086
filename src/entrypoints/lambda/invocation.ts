import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock, Log, LogFields, Metrics } from '../../domain/ports/ambient.ts';
import { InFlight } from './in-flight.ts';
import { ownedBy } from './owners.ts';

/** For the reply, and for what has to be written once the work has stopped, in milliseconds; never more than a quarter of the time that there is. */
const MARGIN_MS = 1_000;

/** Does work as a span of a trace. */
export type Traced = <T>(
  span: string,
  attributes: Readonly<Record<string, string>>,
  work: () => Promise<T>,
) => Promise<T>;

/** What a piece of work is about: a run, and of it a task, an object, a source. */
export type StepFields = Readonly<Record<string, string>>;

export interface InvocationOptions {
  readonly requestId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly traced: Traced;
  /** Milliseconds until Lambda ends the process. */
  readonly remainingMs: number;
}

/** One call of a function: all that belongs to it alone, while others run in the same process. */
export class Invocation {
  readonly requestId: string;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Milliseconds since 1970; the signal is aborted then, so that there is time left to say how far it came. */
  readonly endsAt: number;
  readonly #clock: Clock;
  readonly #traced: Traced;
  readonly #inFlight: InFlight;
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  #failure: Error | undefined;

  constructor({ requestId, clock, log, metrics, traced, remainingMs }: InvocationOptions) {
    this.requestId = requestId;
    this.#clock = clock;
    this.#traced = traced;
    this.log = withFields(log, { requestId });
    this.metrics = metrics;
    this.endsAt = clock.now() + remainingMs - Math.min(MARGIN_MS, remainingMs / 4);
    this.#inFlight = new InFlight(() => clock.now());
    void this.#awaitDeadline();
  }

  /** Aborted shortly before Lambda would end the process, or when the invocation has failed anyway. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The ports of the container, as this invocation may use them. */
  watched<Ports extends object>(ports: Ports): Ports {
    return this.#inFlight.watched(ports);
  }

  /** Does a piece of the work: a span of its own, and all that is logged meanwhile, by adapters too, says what it is about. */
  step<T>(name: string, fields: StepFields, work: (log: Log) => Promise<T>): Promise<T> {
    const log = withFields(this.log, fields);
    const attributes = Object.fromEntries(
      Object.entries(fields).map(([field, value]) => [`sluice.${field}`, value]),
    );
    const owner = { log, metrics: this.metrics, fail: (error: Error) => this.fail(error) };
    return this.#traced(`sluice.${name}`, attributes, () => ownedBy(owner, () => work(log)));
  }

  /** What it was called for is not done, whatever the handler says; the first reason counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#stop.abort(error);
  }

  /**
   * The work is over. What it left behind is stopped, and awaited: the process may be frozen as soon as there is a reply.
   *
   * @returns what the invocation has failed with, whatever its handler says: InfrastructureError `E_FLOATING_WORK` where it was
   *   writing when its handler ended
   */
  async end(): Promise<Error | undefined> {
    // As it is now: what ends in a moment nobody has waited for, either.
    const floating = this.#inFlight.floatingWrites();
    this.#ended.abort();
    // Rejections that nobody awaits show after the microtasks that are due.
    await new Promise((resolve) => void setImmediate(resolve));
    if (floating !== undefined) this.fail(floating);
    else this.#stop.abort(new InfrastructureError('the invocation is over', { code: 'E_ABORTED' }));
    await this.#inFlight.settled();
    return this.#failure;
  }

  async #awaitDeadline(): Promise<void> {
    try {
      await this.#clock.sleep(this.endsAt - this.#clock.now(), this.#ended.signal);
    } catch {
      return;
    }
    this.log.warn(
      { underWay: this.#inFlight.describe() },
      'the time is nearly over: the work is stopped here',
    );
    this.#stop.abort(
      new InfrastructureError('the time of the invocation is nearly over', {
        code: 'E_ABORTED',
        retryable: true,
      }),
    );
  }
}

/** A log whose every line has these fields. */
export function withFields(log: Log, fields: LogFields): Log {
  return {
    debug: (more, message) => log.debug({ ...fields, ...more }, message),
    info: (more, message) => log.info({ ...fields, ...more }, message),
    warn: (more, message) => log.warn({ ...fields, ...more }, message),
    error: (more, message) => log.error({ ...fields, ...more }, message),
  };
}
