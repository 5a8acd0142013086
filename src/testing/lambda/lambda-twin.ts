import { SystemClock } from '../../adapters/inmemory/clock.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import {
  type FunctionCounts,
  MAX_ASYNC_PAYLOAD_BYTES,
  RequestTooLargeError,
  ThrottledError,
  type TwinFunction,
} from './function-call.ts';
import { QueueMappingTwin, type QueueMappingTwinOptions } from './queue-mapping-twin.ts';
import { StreamMappingTwin, type StreamMappingTwinOptions } from './stream-mapping-twin.ts';

export interface LambdaTwinOptions {
  /**
   * Waits before an asynchronous event that failed is tried again, in milliseconds; as many tries as waits follow the first.
   * Default 60,000 and 120,000, as on AWS.
   */
  readonly asyncRetryDelaysMs?: readonly number[];
  /** Gets an asynchronous event that failed for the last time. Default: it is lost. */
  readonly onAsyncDiscarded?: (functionName: string, event: unknown, error: unknown) => void;
  /** Default: the machine's time. */
  readonly clock?: Clock;
}

interface Mapping {
  run(signal: AbortSignal): Promise<void>;
  idle(signal: AbortSignal): Promise<void>;
}

/** A mapping or a schedule that was put in place. */
export interface Switch {
  /** What is in hand is brought to its end; nothing new begins. */
  disable(): Promise<void>;
}

/** Between tries of an asynchronous event that was throttled, in milliseconds. */
const THROTTLE_PAUSE_MS = 1_000;

/**
 * Functions, what triggers them, and how to know that all is done.
 *
 * ```ts
 * const twin = new LambdaTwin();
 * twin.add(new ProcessFunction({ name: 'transform', folder, runtimeClient }));
 * twin.mapQueue('transform', { sqs, queueUrl, reportBatchItemFailures: true });
 * await twin.invoke('dispatch', { pipeline: 'flights' });
 * await twin.idle(AbortSignal.timeout(60_000));
 * console.log(twin.counts());
 * await twin.stop();            // nothing of it runs any more
 * ```
 *
 * Where it differs from AWS: an asynchronous event is kept in memory, and delivered once but for retries; calls in a circle are
 * not detected; schedules count from the moment when they are set, without jitter.
 */
export class LambdaTwin {
  readonly #options: LambdaTwinOptions;
  readonly #clock: Clock;
  readonly #functions = new Map<string, TwinFunction>();
  readonly #mappings = new Set<Mapping>();
  readonly #switches = new Set<Switch>();
  readonly #stop = new AbortController();
  readonly #broken = new AbortController();
  readonly #asynchronous = new Set<Promise<void>>();
  #calls = 0;
  #inFlight = 0;

  constructor(options: LambdaTwinOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? new SystemClock();
  }

  add(added: TwinFunction): void {
    if (this.#functions.has(added.name)) throw new Error(`There is a function ${added.name} already`);
    this.#functions.set(added.name, added);
  }

  /** Calls a function and waits for its answer; rejects with its error. */
  async invoke(functionName: string, event: unknown): Promise<unknown> {
    this.#calls += 1;
    this.#inFlight += 1;
    try {
      return await this.#function(functionName).invoke(event);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Takes an event for a function and returns; it is tried again when it fails. */
  invokeAsync(functionName: string, event: unknown): void {
    const bytes = Buffer.byteLength(JSON.stringify(event));
    if (bytes > MAX_ASYNC_PAYLOAD_BYTES) throw new RequestTooLargeError(bytes, MAX_ASYNC_PAYLOAD_BYTES);
    const delivery = this.#deliver(functionName, event);
    this.#asynchronous.add(delivery);
    void delivery.then(() => this.#asynchronous.delete(delivery));
  }

  mapQueue(
    functionName: string,
    options: Omit<QueueMappingTwinOptions, 'invoke'>,
  ): QueueMappingTwin & Switch {
    const invoke = (event: unknown) => this.invoke(functionName, event);
    return this.#run(new QueueMappingTwin({ clock: this.#clock, ...options, invoke }));
  }

  mapStream(
    functionName: string,
    options: Omit<StreamMappingTwinOptions, 'invoke'>,
  ): StreamMappingTwin & Switch {
    const invoke = (event: unknown) => this.invoke(functionName, event);
    return this.#run(new StreamMappingTwin({ clock: this.#clock, ...options, invoke }));
  }

  /** Calls a function asynchronously, again and again; the first time after `everyMs` milliseconds. */
  schedule(
    functionName: string,
    { everyMs, event }: { readonly everyMs: number; readonly event: unknown },
  ): Switch {
    const stop = new AbortController();
    const watched = AbortSignal.any([stop.signal, this.#stop.signal]);
    const ticking = (async () => {
      while (!watched.aborted) {
        await this.#clock.sleep(everyMs, watched).catch(() => {});
        if (!watched.aborted) this.invokeAsync(functionName, event);
      }
    })();
    const schedule: Switch = {
      disable: async () => {
        stop.abort();
        await ticking;
        this.#switches.delete(schedule);
      },
    };
    this.#switches.add(schedule);
    return schedule;
  }

  /**
   * Resolves when every mapped queue is empty, every mapped stream is read to its end and nothing is in flight; rejects with
   * what broke a mapping. A schedule does not count as work.
   */
  async idle(signal: AbortSignal): Promise<void> {
    const watched = AbortSignal.any([signal, this.#broken.signal]);
    for (;;) {
      // One pass is not enough: what was looked at first may be filled by what was looked at last.
      const calls = this.#calls;
      for (let pass = 0; pass < 2; pass += 1) {
        await Promise.all(this.#asynchronous);
        for (const mapping of this.#mappings) await mapping.idle(watched);
      }
      watched.throwIfAborted();
      if (calls === this.#calls && this.#inFlight === 0 && this.#asynchronous.size === 0) return;
      await this.#clock.sleep(10, watched);
    }
  }

  /** By the functions' names. */
  counts(): Readonly<Record<string, FunctionCounts>> {
    return Object.fromEntries([...this.#functions].map(([name, { counts }]) => [name, counts]));
  }

  /** Kills what runs; resolves when nothing is left. Rejects with what broke a mapping. */
  async stop(): Promise<void> {
    this.#stop.abort();
    // First the mappings are told, so that a function that is killed now is not called again.
    const disabled = [...this.#switches].map((each) => each.disable());
    await Promise.all([...this.#functions.values()].map((each) => each.stop()));
    await Promise.all([...disabled, ...this.#asynchronous]);
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }

  #function(name: string): TwinFunction {
    const found = this.#functions.get(name);
    if (found === undefined) throw new Error(`There is no function ${name}`);
    return found;
  }

  #run<M extends Mapping>(mapping: M): M & Switch {
    const stop = new AbortController();
    const running = mapping
      .run(AbortSignal.any([stop.signal, this.#stop.signal]))
      .catch((error: unknown) => this.#broken.abort(error));
    this.#mappings.add(mapping);
    const enabled = Object.assign(mapping, {
      disable: async () => {
        stop.abort();
        await running;
        this.#mappings.delete(mapping);
        this.#switches.delete(enabled);
      },
    });
    this.#switches.add(enabled);
    return enabled;
  }

  async #deliver(functionName: string, event: unknown): Promise<void> {
    const { asyncRetryDelaysMs = [60_000, 120_000], onAsyncDiscarded } = this.#options;
    const stop = this.#stop.signal;
    for (let retries = 0; !stop.aborted;) {
      try {
        await this.invoke(functionName, event);
        return;
      } catch (error) {
        const isThrottled = error instanceof ThrottledError;
        const delayMs = isThrottled ? THROTTLE_PAUSE_MS : asyncRetryDelaysMs[retries];
        if (!isThrottled) retries += 1;
        if (delayMs === undefined) {
          onAsyncDiscarded?.(functionName, event, error);
          return;
        }
        await this.#clock.sleep(delayMs, stop).catch(() => {});
      }
    }
  }
}
