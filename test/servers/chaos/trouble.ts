import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import type { Stack } from '../stack/stack.ts';

/** How often what is ended. */
export interface TroublePlan {
  /** SIGKILLs of functions at work. */
  readonly kills: number;
  /** Redis killed and started again empty, or told to forget all, in turn. */
  readonly redis: number;
  /** PostgreSQL ended at once and started again. */
  readonly postgres: number;
}

export interface TroubleDone {
  /** By function. */
  readonly kills: Readonly<Record<string, number>>;
  readonly redisKills: number;
  readonly redisFlushes: number;
  readonly postgres: number;
}

const kinds = ['kills', 'redis', 'postgres'] as const satisfies readonly (keyof TroublePlan)[];
type Step = (typeof kinds)[number];

/** Between two steps, at the longest. */
const MAX_PAUSE_MS = 400;
/** So long a server is away, at the longest. */
const MAX_OUTAGE_MS = 800;
/** Between two kills some call succeeds, or so much time passes: else nothing would ever be at work for long enough. */
const MAX_STARVING_MS = 4_000;
/** Nothing ran for so long, and nothing arrives any more: there is nothing left to do. Longer than a message is hidden. */
const NOTHING_RUNS_MS = 30_000;
const LOOK_MS = 5;

/** Functions to kill, as often as they stand here. */
const victims = ['transform', 'transform', 'transform', 'analyze', 'analyze', 'analyze', 'dispatch'] as const;

/**
 * Ends functions and servers in an order and at moments that follow from a seed. (What is at work at such a moment does not: these
 * are real processes.)
 */
export class Trouble {
  readonly #stack: Stack;
  readonly #plan: TroublePlan;
  readonly #random: SeededRandom;
  #arriving = true;
  #killed = 0;
  #redisKills = 0;
  #redisFlushes = 0;
  #postgres = 0;
  /** Servers are away while functions are killed, too. */
  #redisOutage = Promise.resolve();
  #postgresOutage = Promise.resolve();

  constructor(stack: Stack, plan: TroublePlan, seed: number) {
    this.#stack = stack;
    this.#plan = plan;
    this.#random = new SeededRandom({ clock: new SystemClock() }, seed);
  }

  /** From 0 to 1. */
  get progress(): number {
    return this.#killed / this.#plan.kills;
  }

  /** Invocations under way, and those that wait for an environment. */
  get running(): number {
    return Object.values(this.#stack.functions).reduce(
      (sum, { running, starting }) => sum + running + starting,
      0,
    );
  }

  /** Nothing arrives from now on. */
  allArrived(): void {
    this.#arriving = false;
  }

  /** Resolves when all is done that was planned, and the servers are back; earlier where functions have nothing left to do. */
  async run(signal: AbortSignal): Promise<TroubleDone> {
    try {
      for (const step of this.#steps()) {
        signal.throwIfAborted();
        await sleep(this.#random.next() * MAX_PAUSE_MS);
        if (step === 'kills' && !(await this.#kill(signal))) break;
        if (step === 'redis') {
          await this.#redisOutage;
          this.#redisOutage = this.#troubleRedis();
        }
        if (step === 'postgres') {
          await this.#postgresOutage;
          this.#postgresOutage = this.#troublePostgres();
        }
      }
    } finally {
      await Promise.all([this.#redisOutage, this.#postgresOutage]);
    }
    return this.#done();
  }

  #done(): TroubleDone {
    return {
      kills: Object.fromEntries(
        Object.entries(this.#stack.functions).map(([name, { counts }]) => [name, counts.kills]),
      ),
      redisKills: this.#redisKills,
      redisFlushes: this.#redisFlushes,
      postgres: this.#postgres,
    };
  }

  /** All that is planned, mixed. */
  #steps(): readonly Step[] {
    const steps: Step[] = kinds.flatMap((step) => Array.from({ length: this.#plan[step] }, () => step));
    for (let at = steps.length - 1; at > 0; at--) {
      const other = Math.floor(this.#random.next() * (at + 1));
      [steps[at], steps[other]] = [steps[other] as Step, steps[at] as Step];
    }
    return steps;
  }

  async #kill(signal: AbortSignal): Promise<boolean> {
    const { functions } = this.#stack;
    const first = Math.floor(this.#random.next() * victims.length);
    const inTurn = [...victims.slice(first), ...victims.slice(0, first)];
    let ranAt = performance.now();
    while (this.#arriving || performance.now() - ranAt < NOTHING_RUNS_MS) {
      if (this.running > 0) ranAt = performance.now();
      for (const name of inTurn)
        if (await functions[name].kill()) {
          this.#killed++;
          await this.#untilSomethingSucceeds();
          return true;
        }
      await sleep(LOOK_MS, undefined, { signal });
    }
    return false;
  }

  async #untilSomethingSucceeds(): Promise<void> {
    const before = this.#succeeded();
    const deadline = performance.now() + MAX_STARVING_MS;
    while (this.#succeeded() <= before && performance.now() < deadline) await sleep(LOOK_MS);
  }

  #succeeded(): number {
    return Object.values(this.#stack.functions).reduce(
      (sum, { counts, running, starting }) => sum + counts.invocations - counts.errors - running - starting,
      0,
    );
  }

  async #troubleRedis(): Promise<void> {
    const { redis } = this.#stack.peers;
    if (this.#redisKills <= this.#redisFlushes) {
      const outageMs = this.#random.next() * MAX_OUTAGE_MS;
      await redis.kill();
      await sleep(outageMs);
      await redis.restart();
      this.#redisKills++;
    } else {
      const client = new Redis(redis.url);
      await client.flushall();
      client.disconnect();
      this.#redisFlushes++;
    }
  }

  async #troublePostgres(): Promise<void> {
    await this.#stack.peers.postgres.restart('immediate');
    this.#postgres++;
  }
}
