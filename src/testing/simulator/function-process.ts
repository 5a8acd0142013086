import type { SeededRandom } from '../../adapters/inmemory/random.ts';
import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import type { PutOutcome, SinkRecord } from '../../domain/ports/record-sink.ts';
import type { CallFault, Faults } from './faults.ts';
import type { History } from './history.ts';
import { realWork, type Scheduler } from './scheduler.ts';

/** What a process needs of its surroundings. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly faults: Faults;
  readonly history: History;
}

export interface ProcessOptions {
  readonly name: string;
  /** How much its clock is ahead, in milliseconds. */
  readonly skewMs: number;
  /** How long a process that stands still does so, in milliseconds. */
  readonly standstillMs: number;
  /** The function's time, in milliseconds. */
  readonly timeoutMs: number;
}

/** A call takes up to this long, in milliseconds. */
const LATENCY_MS = 20;
const SLOW_MS = 90_000;
/** A call that outlives its process arrives within this time, in milliseconds. */
const STRAY_MS = 400_000;

type Method = (...parameters: unknown[]) => unknown;

/** Methods whose answer is a sequence: each of its items is a call. */
export const SEQUENCES: ReadonlySet<string> = new Set([
  'list',
  'read',
  'objects',
  'groups',
  'flags',
  'failures',
  'readShard',
]);

/**
 * A function's process as the cloud has it: it can be killed between any two instructions. What is killed simply does not
 * go on: no `catch` and no `finally` of it runs, and what it has sent off arrives or not.
 *
 * All it does to the world goes over `wire`; each call is an event of the scheduler and may be struck by a fault.
 *
 *     call ──▶ (crash-before) ──▶ port ──▶ (crash-after) ──▶ answer
 *        └─ lost-call, throttled    └─ lost-answer
 */
export class FunctionProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #world: Surroundings;
  readonly #standstillMs: number;
  readonly #died = Promise.withResolvers<never>();
  #state: 'running' | 'dead' | 'over' = 'running';
  readonly #endsAt: number;
  /** Calls and naps that an event will answer. */
  #waiting = 0;
  /** Told when the process begins to wait, or is over. */
  #turned: () => void = () => undefined;
  /** Milliseconds since 1970. */
  #standsUntil = 0;
  #calls = 0;

  constructor(world: Surroundings, { name, skewMs, standstillMs, timeoutMs }: ProcessOptions) {
    const { scheduler } = world;
    this.#world = world;
    this.name = name;
    this.#standstillMs = standstillMs;
    this.#endsAt = scheduler.now() + timeoutMs;
    // Who only waits to be killed is not told of it.
    this.#died.promise.catch(() => undefined);
    this.clock = {
      now: () => scheduler.now() + skewMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  get running(): boolean {
    return this.#state === 'running';
  }

  /** Whether it works within its time. A call that takes long may come to its port after it. */
  get busy(): boolean {
    return this.running && !this.standsStill && this.#world.scheduler.now() < this.#endsAt;
  }

  get standsStill(): boolean {
    return this.running && this.#standsUntil > this.#world.scheduler.now();
  }

  /** When a process that stands still goes on, in milliseconds since 1970. */
  get goesOnAt(): number {
    return this.#standsUntil;
  }

  /** Rejects when the process is killed. */
  get died(): Promise<never> {
    return this.#died.promise;
  }

  /** Runs a function in this process. Settles as it does; never, where the process is killed. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      if (this.#state === 'running') this.#state = 'over';
      this.#turned();
    }
  }

  /** Resolves when what the process does on its own has ended: it waits for an event, or is over. */
  untilItWaits(): Promise<void> {
    const isOver = () => this.#state !== 'running' || this.#waiting > 0;
    const turn = () => new Promise<void>((resolve) => void (this.#turned = resolve));
    return realWork(isOver, turn, this.name);
  }

  kill(why: string): void {
    if (this.#state !== 'running') return;
    this.#state = 'dead';
    this.#turned();
    this.#world.history.note(`${this.name} is dead: ${why}`);
    this.#died.reject(new InfrastructureError(`${this.name} died: ${why}`));
  }

  /** A port as this process has it. */
  wire<T extends object>(port: string, target: T): T {
    return new Proxy(target, {
      get: (on, key) => {
        const member = Reflect.get(on, key, on) as unknown;
        if (typeof member !== 'function' || typeof key !== 'string') return member;
        const method = member.bind(on) as Method;
        const name = `${port}.${key}`;
        if (SEQUENCES.has(key))
          return (...parameters: unknown[]) =>
            this.#sequence(name, method(...parameters) as AsyncIterable<unknown>);
        return (...parameters: unknown[]) => this.#call(name, method, parameters);
      },
    });
  }

  async *#sequence(name: string, items: AsyncIterable<unknown>): AsyncGenerator {
    const iterator = items[Symbol.asyncIterator]();
    const next = () => iterator.next();
    try {
      for (;;) {
        const item = (await this.#call(name, next, [])) as IteratorResult<unknown>;
        if (item.done === true) return;
        yield item.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  #call(name: string, method: Method, parameters: readonly unknown[]): Promise<unknown> {
    const { scheduler, random, faults, history } = this.#world;
    const answer = Promise.withResolvers<unknown>();
    const fault = faults.ofCall(name === 'sink.put');
    this.#calls++;
    if (fault !== null) history.note(`${this.name} ${name}, its call ${this.#calls}: ${fault}`);
    this.#wait();
    const latencyMs = random.next() * (fault === 'slow' ? SLOW_MS : LATENCY_MS);
    if (fault === 'crash-before') {
      scheduler.after(latencyMs, () => this.kill(`before ${name}`));
    } else if (fault === 'crash-during') {
      scheduler.after(latencyMs / 2, () => this.kill(`during ${name}`));
      if (random.next() < 0.5)
        scheduler.after(random.next() * STRAY_MS, async () => void (await attempt(method, parameters)));
    } else {
      if (fault === 'zombie') this.#standsUntil = scheduler.now() + latencyMs + this.#standstillMs;
      scheduler.after(latencyMs, () => this.#arrive(name, fault, method, parameters, answer));
    }
    return answer.promise;
  }

  async #arrive(
    name: string,
    fault: CallFault | null,
    method: Method,
    parameters: readonly unknown[],
    answer: PromiseWithResolvers<unknown>,
  ): Promise<void> {
    // Killed while its call was on the way: a coin decides whether the packet was out already.
    if (this.#state === 'dead' && this.#world.random.next() < 0.5) return;
    const result =
      fault === 'lost-call' || fault === 'throttled'
        ? refusal(fault, name)
        : await attempt(
            fault === 'partial-put' ? rejectingSome(method, this.#world.random) : method,
            parameters,
          );
    if (fault === 'crash-after') return this.kill(`after ${name}`);
    await this.#answer(answer, fault === 'lost-answer' ? refusal(fault, name) : result);
  }

  /** The answer reaches the process: at once, or when it goes on again. */
  async #answer(answer: PromiseWithResolvers<unknown>, result: Result): Promise<void> {
    const { scheduler } = this.#world;
    if (this.#state === 'dead') return;
    const standsMs = this.#standsUntil - scheduler.now();
    if (standsMs > 0) return void scheduler.after(standsMs, () => this.#answer(answer, result));
    this.#waiting--;
    if (result.threw) answer.reject(result.error);
    else answer.resolve(result.value);
    await this.untilItWaits();
  }

  #wait(): void {
    this.#waiting++;
    this.#turned();
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const { scheduler } = this.#world;
    const answer = Promise.withResolvers<unknown>();
    // A nap until the end of the invocation is taken beside the work, not by it.
    const beside = this.#calls === 0;
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (!beside) this.#wait();
    const wake = async () => {
      signal.removeEventListener('abort', stop);
      if (!beside) return this.#answer(answer, { threw: false, value: undefined });
      if (this.#state !== 'dead') answer.resolve(undefined);
      await this.untilItWaits();
    };
    const stop = () => {
      cancel();
      if (!beside) this.#waiting--;
      answer.reject(signal.reason as Error);
    };
    const cancel = scheduler.after(ms, wake);
    signal.addEventListener('abort', stop, { once: true });
    return answer.promise as Promise<void>;
  }
}

type Result =
  { readonly threw: false; readonly value: unknown } | { readonly threw: true; readonly error: unknown };

async function attempt(method: Method, parameters: readonly unknown[]): Promise<Result> {
  try {
    return { threw: false, value: await method(...parameters) };
  } catch (error) {
    return { threw: true, error };
  }
}

function refusal(fault: 'lost-call' | 'lost-answer' | 'throttled', name: string): Result {
  const code = fault === 'throttled' ? 'E_THROTTLED' : 'E_INFRASTRUCTURE';
  return { threw: true, error: new InfrastructureError(`${name}: ${fault}`, { code, retryable: true }) };
}

/** Passes on some of the records and rejects the others. */
function rejectingSome(method: Method, random: SeededRandom): Method {
  return async (...parameters) => {
    const [records, signal] = parameters as [readonly SinkRecord[], AbortSignal];
    const passes = records.map(() => random.next() < 0.5);
    const passed = records.filter((_, at) => passes[at]);
    const outcomes = passed.length === 0 ? [] : ((await method(passed, signal)) as PutOutcome[]);
    const rest = [...outcomes];
    return passes.map((passing): PutOutcome => {
      if (passing) return rest.shift() as PutOutcome;
      const reason = random.next() < 0.5 ? 'throttled' : 'failed';
      return { accepted: false, reason, retryable: true, message: 'rejected, as planned' };
    });
  };
}
