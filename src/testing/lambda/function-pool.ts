import {
  type FunctionCounts,
  FunctionError,
  MAX_PAYLOAD_BYTES,
  noCounts,
  RequestTooLargeError,
  ThrottledError,
  type TwinFunction,
} from './function-call.ts';
import { ExecutionEnvironment, type FunctionLog, type FunctionSettings } from './function-process.ts';

export interface ProcessFunctionSettings extends FunctionSettings {
  /** Environments at once; a call that finds them all busy is throttled. Default 2. */
  readonly concurrency?: number;
}

/**
 * A function in processes of its own, under AWS's runtime client. An environment is used again, and one that died
 * (timeout, memory, exit, kill) is replaced at the next call.
 *
 * ```ts
 * const transform = new ProcessFunction({ name: 'transform', folder, runtimeClient, timeoutMs: 5_000 }, console.log);
 * const answer = await transform.invoke({ Records: [] });
 * await transform.kill();        // SIGKILL to one that works: its invocation fails with Runtime.ExitError
 * await transform.stop();
 * ```
 */
export class ProcessFunction implements TwinFunction {
  readonly name: string;
  readonly #settings: ProcessFunctionSettings;
  readonly #log: FunctionLog;
  readonly #free: ExecutionEnvironment[] = [];
  readonly #busy = new Set<ExecutionEnvironment>();
  readonly #pending = new Set<Promise<unknown>>();
  #starting = 0;
  #stopped = false;
  #counts: { -readonly [K in keyof FunctionCounts]: number } = { ...noCounts };

  constructor(settings: ProcessFunctionSettings, log: FunctionLog = () => {}) {
    this.name = settings.name;
    this.#settings = settings;
    this.#log = log;
  }

  get counts(): FunctionCounts {
    return { ...this.#counts };
  }

  /** Invocations under way. */
  get running(): number {
    return this.#busy.size;
  }

  /** Calls that wait for an environment to come up. */
  get starting(): number {
    return this.#starting;
  }

  readonly invoke = (event: unknown): Promise<unknown> => {
    const invocation = this.#invoke(JSON.stringify(event));
    // So that `stop` can wait for it; whoever called learns of a failure.
    const quiet = invocation.catch(() => {});
    this.#pending.add(quiet);
    void quiet.then(() => this.#pending.delete(quiet));
    return invocation;
  };

  /** Sends SIGKILL to an environment with an invocation under way; says whether there was one. */
  async kill(): Promise<boolean> {
    const victim = this.#busyVictim();
    if (victim === undefined) return false;
    await victim.kill();
    return true;
  }

  /**
   * Sends a signal to an environment with an invocation under way, as `SIGSTOP`: it stands still until its time runs out. Says
   * whether there was one.
   */
  signal(signal: NodeJS.Signals): boolean {
    const victim = this.#busyVictim();
    return victim?.signal(signal) ?? false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const stopAll = () =>
      Promise.all([...this.#free, ...this.#busy].map((environment) => environment.stop()));
    await stopAll();
    await Promise.all(this.#pending);
    // Environments that were coming up meanwhile.
    await stopAll();
  }

  async #invoke(payload: string): Promise<unknown> {
    const bytes = Buffer.byteLength(payload);
    if (bytes > MAX_PAYLOAD_BYTES) throw new RequestTooLargeError(bytes, MAX_PAYLOAD_BYTES);
    if (this.#stopped) throw new ThrottledError(this.name);
    const warm = this.#takeWarm();
    if (warm === undefined && this.#busy.size + this.#starting >= (this.#settings.concurrency ?? 2)) {
      this.#counts.throttles += 1;
      throw new ThrottledError(this.name);
    }
    this.#counts.invocations += 1;
    try {
      const environment = warm ?? (await this.#start());
      return await this.#invokeIn(environment, payload);
    } catch (error) {
      this.#counts.errors += 1;
      throw error;
    }
  }

  /** The one that began last: an older one may stand still already. */
  #busyVictim(): ExecutionEnvironment | undefined {
    return [...this.#busy].findLast(({ alive }) => alive);
  }

  #takeWarm(): ExecutionEnvironment | undefined {
    for (;;) {
      const environment = this.#free.pop();
      if (environment === undefined || environment.alive) return environment;
      void environment.stop();
    }
  }

  async #start(): Promise<ExecutionEnvironment> {
    this.#starting += 1;
    this.#counts.coldStarts += 1;
    try {
      return await ExecutionEnvironment.start(this.#settings, this.#log);
    } catch (error) {
      this.#counts.initErrors += 1;
      throw error;
    } finally {
      this.#starting -= 1;
    }
  }

  async #invokeIn(environment: ExecutionEnvironment, payload: string): Promise<unknown> {
    this.#busy.add(environment);
    try {
      if (this.#stopped) throw new FunctionError('Runtime.ExitError', 'The twin is stopping');
      return JSON.parse(await environment.invoke(payload)) as unknown;
    } finally {
      this.#busy.delete(environment);
      if (environment.alive) this.#free.push(environment);
      else {
        this.#countEnd(environment);
        await environment.stop();
      }
    }
  }

  #countEnd({ verdict }: ExecutionEnvironment): void {
    if (verdict === 'timeout') this.#counts.timeouts += 1;
    else if (verdict === 'demand') this.#counts.kills += 1;
    else if (verdict !== 'stop') this.#counts.exits += 1;
  }
}
