import { InMemoryErrorRouter } from '../../adapters/inmemory/error-router.ts';
import { InMemoryKilledRows } from '../../adapters/inmemory/killed-rows.ts';
import { silentLog } from '../../adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../adapters/inmemory/metrics.ts';
import { InMemoryObjectSource } from '../../adapters/inmemory/object-source.ts';
import { SeededRandom } from '../../adapters/inmemory/random.ts';
import { InMemoryResultStore } from '../../adapters/inmemory/result-store.ts';
import { mergeStates } from '../../application/measures/state.ts';
import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { DedupStore } from '../../domain/ports/dedup-store.ts';
import type { ErrorRouter } from '../../domain/ports/error-router.ts';
import type { KilledRows } from '../../domain/ports/killed-rows.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { ResultStore } from '../../domain/ports/result-store.ts';
import { Faults, type FaultRates } from './faults.ts';
import { ForgetfulDedup } from './forgetful-dedup.ts';
import { FunctionProcess, SEQUENCES } from './function-process.ts';
import { History } from './history.ts';
import { Scheduler } from './scheduler.ts';

/** 2026-01-01T23:58:00Z: a day ends in the middle of most histories. */
const START = 1_767_311_880_000;

/** A function's time, in milliseconds. */
export const TIMEOUT_MS = 60_000;
const STANDSTILL_MS = 600_000;
const SKEW_MS = 300_000;
const COLD_START_MS = 200;

/** The ports that every function has, as its process has them. */
export interface SharedPorts {
  readonly source: ObjectSource;
  readonly store: ResultStore;
  readonly router: ErrorRouter;
  readonly dedup: DedupStore;
  readonly killed: KilledRows;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface SimulatedInvocation {
  readonly process: FunctionProcess;
  readonly ports: SharedPorts;
  /** Milliseconds since 1970 by the process's own clock: then it is killed. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/** What outlives every function, and what runs them: their processes live and die here, on one virtual clock. */
export class World {
  readonly scheduler = new Scheduler(START);
  readonly history = new History(() => this.scheduler.now());
  readonly random: SeededRandom;
  readonly faults: Faults;
  readonly source = new InMemoryObjectSource();
  readonly store = new InMemoryResultStore(mergeStates);
  readonly router = new InMemoryErrorRouter({ maxFailures: 1_000 });
  readonly dedup: ForgetfulDedup;
  readonly killed = new InMemoryKilledRows();
  readonly metrics = new InMemoryMetrics();
  /** Functions that were killed although nothing went wrong any more: they hung. */
  readonly hung: string[] = [];
  readonly #processes = new Set<FunctionProcess>();
  #storeAwayUntil = 0;
  #processesBegun = 0;

  constructor(seed: number, rates: FaultRates, maxFaults: number) {
    const clock = this.scheduler;
    this.random = new SeededRandom({ clock }, seed);
    this.faults = new Faults(this.random, rates, maxFaults);
    this.dedup = new ForgetfulDedup({ clock });
  }

  /** Functions that have not come to an end. */
  get running(): readonly string[] {
    return [...this.#processes].filter(({ running }) => running).map(({ name }) => name);
  }

  /** Kills all functions of a kind: a container is stopped in the middle of a section. */
  killAll(name: string, why: string): void {
    for (const process of this.#processes) if (process.name.startsWith(`${name} #`)) process.kill(why);
  }

  /** The result store is away for so many milliseconds. */
  restartStore(ms: number): void {
    this.#storeAwayUntil = this.scheduler.now() + ms;
  }

  /**
   * Runs a function in a process of its own, as the platform does.
   *
   * @throws what the function throws; InfrastructureError where it is killed, or takes too long
   */
  async invoke<T>(name: string, work: (invocation: SimulatedInvocation) => Promise<T>): Promise<T> {
    const begun = Promise.withResolvers<{ readonly outcome: Promise<T> }>();
    this.scheduler.after(this.random.next() * COLD_START_MS, async () => {
      const process = this.#startProcess(name);
      begun.resolve({ outcome: this.#runIn(process, work) });
      await process.untilItWaits();
    });
    const { outcome } = await begun.promise;
    return outcome;
  }

  #startProcess(name: string): FunctionProcess {
    const { random, faults } = this;
    const skewMs = faults.strikes('clock-skew') ? (random.next() - 0.5) * 2 * SKEW_MS : 0;
    const standstillMs = TIMEOUT_MS + random.next() * STANDSTILL_MS;
    const process = new FunctionProcess(this, {
      name: `${name} #${++this.#processesBegun}`,
      skewMs: Math.round(skewMs),
      standstillMs,
      timeoutMs: TIMEOUT_MS,
    });
    this.#processes.add(process);
    return process;
  }

  async #runIn<T>(
    process: FunctionProcess,
    work: (invocation: SimulatedInvocation) => Promise<T>,
  ): Promise<T> {
    const calm = this.faults.ended;
    const tooLong = Promise.withResolvers<never>();
    const cancel = this.scheduler.after(TIMEOUT_MS, () => {
      if (calm) this.hung.push(process.name);
      // Who stands still cannot be killed: it wakes up when nobody counts on it any more.
      if (!process.standsStill) process.kill('its time ran out');
      tooLong.reject(new InfrastructureError(`${process.name} took too long`));
    });
    const deadline = process.clock.now() + TIMEOUT_MS;
    const running = process.run(() =>
      work({ process, ports: this.#portsOf(process), deadline, signal: unstopped }),
    );
    running.catch(() => undefined);
    try {
      return await Promise.race([running, process.died, tooLong.promise]);
    } finally {
      cancel();
      if (!process.running) this.#processes.delete(process);
    }
  }

  #portsOf(process: FunctionProcess): SharedPorts {
    const { clock } = process;
    return {
      source: process.wire<ObjectSource>('source', this.source),
      store: process.wire<ResultStore>('store', this.#restarting(this.store)),
      router: process.wire<ErrorRouter>('router', this.router),
      dedup: process.wire<DedupStore>('dedup', this.dedup.of(process)),
      killed: process.wire<KilledRows>('killed', this.killed),
      clock,
      random: new SeededRandom({ clock }, Math.floor(this.random.next() * 2 ** 32)),
      log: silentLog,
      metrics: this.metrics,
    };
  }

  /** A store that restarts: it refuses what comes, or does it and forgets to answer. */
  #restarting(store: ResultStore): ResultStore {
    return new Proxy(store, {
      get: (target, key) => {
        const member = Reflect.get(target, key, target) as unknown;
        if (typeof member !== 'function') return member;
        const method = member.bind(target) as (...parameters: unknown[]) => unknown;
        if (this.scheduler.now() >= this.#storeAwayUntil) return method;
        const away = new InfrastructureError('the result store restarts', { code: 'E_STORE_BUSY' });
        if (SEQUENCES.has(String(key))) return () => failing(away);
        return async (...parameters: unknown[]) => {
          if (this.random.next() < 0.3) await method(...parameters);
          throw away;
        };
      },
    });
  }
}

// eslint-disable-next-line require-yield -- it fails before it gives anything
async function* failing(error: Error): AsyncGenerator<never> {
  throw error;
}

export const unstopped: AbortSignal = new AbortController().signal;
