import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { FunctionError } from './function-call.ts';
import { RuntimeApiServer, type RuntimeOutcome } from './runtime-api-server.ts';

/** What an environment is made of; the names are those of Lambda's settings. */
export interface FunctionSettings {
  readonly name: string;
  /** Folder that holds the bundle; `index.mjs` for the handler `index.handler`. */
  readonly folder: string;
  /** Default `index.handler`. */
  readonly handler?: string;
  /** Variables of the function. Of this process's own an environment gets none but PATH. Default: none. */
  readonly environment?: Readonly<Record<string, string>>;
  /** In MB (of 1024 × 1024 bytes). Default 512. */
  readonly memoryMb?: number;
  /** Longest time of an invocation, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** File that starts the runtime client: `index.mjs` of the package `aws-lambda-ric`. */
  readonly runtimeClient: string;
  /** The Node that runs it. Default: the one of this process. */
  readonly node?: string;
  /**
   * Whether a process stands still between invocations, as on Lambda: what a handler leaves behind does not go on until the
   * next event. A process that stands still outlives this one if this one is killed. Default `false`.
   */
  readonly freeze?: boolean;
  /** Default `us-east-1`. */
  readonly region?: string;
}

/** A line of a function's log, its platform's lines (START, END, REPORT, timeouts) too. */
export interface FunctionLogLine {
  readonly functionName: string;
  /** The environment that wrote it. */
  readonly environment: string;
  /** The invocation under way; `null` outside of one. */
  readonly requestId: string | null;
  readonly line: string;
}

export type FunctionLog = (line: FunctionLogLine) => void;

/** An environment may take so long to come up, in milliseconds, where the function's own timeout is not longer. */
const INIT_TIMEOUT_MS = 10_000;

/** How often an environment's memory is looked at while it works, in milliseconds. */
const MEMORY_CHECK_MS = 50;

/** What Lambda gives V8's old space of a function's memory. */
const OLD_SPACE_SHARE = 0.9;

type Death = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** Why the environment was killed, if it was killed on purpose. */
type Verdict = 'timeout' | 'memory' | 'demand' | 'stop';

interface Current {
  readonly requestId: string;
  readonly startedAt: number;
}

/**
 * One execution environment: a process that runs AWS's runtime client with a bundle, one invocation at a time.
 *
 * Where it differs from Lambda: memory is what `/proc` says of the process (elsewhere than on Linux only V8's heap is
 * bounded), looked at every 50 ms; the machine's processors are not divided; the file system is not closed off.
 */
export class ExecutionEnvironment {
  readonly id = `${new Date().toISOString().slice(0, 10).replaceAll('-', '/')}/[$LATEST]${randomUUID().replaceAll('-', '')}`;
  readonly #settings: FunctionSettings;
  readonly #api: RuntimeApiServer;
  readonly #child: ChildProcess;
  readonly #log: FunctionLog;
  readonly #dead: Promise<Death>;
  #current: Current | null = null;
  #verdict: Verdict | null = null;
  #isDead = false;
  #peakBytes = 0;
  #initMs: number | null = 0;

  private constructor(settings: FunctionSettings, api: RuntimeApiServer, log: FunctionLog) {
    this.#settings = settings;
    this.#api = api;
    this.#log = log;
    this.#child = spawn(settings.node ?? process.execPath, [...this.#nodeOptions(), settings.runtimeClient], {
      cwd: settings.folder,
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#write(line));
    this.#dead = new Promise((resolve) => {
      // After the pipes have ended, so that the log is whole.
      this.#child.on('close', (code, signal) => {
        this.#isDead = true;
        resolve({ code, signal });
      });
      this.#child.on('error', (error) => {
        this.#write(`Cannot start the runtime client: ${error.message}`);
        this.#isDead = true;
        resolve({ code: null, signal: null });
      });
    });
  }

  /** Resolves when the handler's module is loaded; rejects with a `FunctionError` when it cannot be. */
  static async start(settings: FunctionSettings, log: FunctionLog): Promise<ExecutionEnvironment> {
    const api = await RuntimeApiServer.start();
    const environment = new ExecutionEnvironment(settings, api, log);
    try {
      await environment.#initialize();
    } catch (error) {
      await environment.stop();
      throw error;
    }
    return environment;
  }

  /** Whether it can be handed another event. */
  get alive(): boolean {
    return !this.#isDead && this.#verdict === null;
  }

  /** Why its last invocation ended with its process; `null` where the process lives or ended by itself. */
  get verdict(): 'timeout' | 'memory' | 'demand' | 'stop' | null {
    return this.#verdict;
  }

  /** Resolves with the answer as JSON; rejects with a `FunctionError`. The environment may be dead afterwards. */
  async invoke(payload: string): Promise<string> {
    const requestId = randomUUID();
    const { timeoutMs = 30_000, name, region = 'us-east-1' } = this.#settings;
    this.#thaw();
    this.#current = { requestId, startedAt: performance.now() };
    this.#write(`START RequestId: ${requestId} Version: $LATEST`);
    const timeout = setTimeout(() => this.#end('timeout'), timeoutMs);
    const watch = this.#watchMemory();
    try {
      const ended = await Promise.race([
        this.#api.invoke({
          requestId,
          payload,
          deadline: Date.now() + timeoutMs,
          functionArn: `arn:aws:lambda:${region}:000000000000:function:${name}`,
          traceId: `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${requestId.replaceAll('-', '').slice(0, 24)};Sampled=0`,
        }),
        this.#dead,
      ]);
      const outcome = 'signal' in ended ? this.#lastWords(ended, requestId, timeoutMs) : ended;
      // A runtime that has answered is in use until it asks for more: what it does then is part of this invocation.
      await Promise.race([this.#api.free, this.#dead]);
      if (outcome.kind === 'failed') throw new FunctionError(outcome.errorType, outcome.errorMessage);
      return outcome.payload;
    } finally {
      clearTimeout(timeout);
      clearInterval(watch);
      await this.#report(requestId);
      this.#current = null;
      if (this.alive && this.#settings.freeze === true) this.#child.kill('SIGSTOP');
    }
  }

  /** Ends the process at once, whatever it does; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#end('demand');
    await this.#dead;
  }

  /** Sends a signal to the process; says whether it was there. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#child.kill(signal);
  }

  /** Resolves when the process is gone and its Runtime API too. */
  async stop(): Promise<void> {
    this.#end('stop');
    await this.#dead;
    await this.#api.stop();
  }

  async #initialize(): Promise<void> {
    const { timeoutMs = 0 } = this.#settings;
    const limitMs = Math.max(INIT_TIMEOUT_MS, timeoutMs);
    const startedAt = performance.now();
    const timeout = setTimeout(() => this.#end('timeout'), limitMs);
    try {
      const ended = await Promise.race([this.#api.initialized, this.#dead]);
      this.#initMs = performance.now() - startedAt;
      const failure = ended !== null && 'signal' in ended ? this.#lastWords(ended, null, limitMs) : ended;
      if (failure?.kind === 'failed') throw new FunctionError(failure.errorType, failure.errorMessage);
    } finally {
      clearTimeout(timeout);
    }
  }

  #end(verdict: Verdict): void {
    if (this.#isDead) return;
    this.#verdict ??= verdict;
    this.#child.kill('SIGKILL');
  }

  /** What Lambda says of a process that ended, in its log and as the invocation's error. */
  #lastWords({ code, signal }: Death, requestId: string | null, timeoutMs: number): RuntimeOutcome {
    const about = requestId === null ? '' : `RequestId: ${requestId} `;
    if (this.#verdict === 'timeout') {
      const words = `Task timed out after ${(timeoutMs / 1000).toFixed(2)} seconds`;
      this.#write(`${new Date().toISOString()} ${requestId ?? 'INIT'} ${words}`);
      return { kind: 'failed', errorType: 'Sandbox.Timedout', errorMessage: `${about}Error: ${words}` };
    }
    const how = signal === null ? `exit status ${code}` : `signal: ${signalWord(signal)}`;
    const words =
      code === 0 ? 'Runtime exited without providing a reason' : `Runtime exited with error: ${how}`;
    this.#write(`${about}Error: ${words}`);
    this.#write('Runtime.ExitError');
    return { kind: 'failed', errorType: 'Runtime.ExitError', errorMessage: `${about}Error: ${words}` };
  }

  async #report(requestId: string): Promise<void> {
    if (!this.#isDead) await this.#lookAtMemory();
    const ms = performance.now() - (this.#current as Current).startedAt;
    const { memoryMb = 512 } = this.#settings;
    const parts = [
      `REPORT RequestId: ${requestId}`,
      `Duration: ${ms.toFixed(2)} ms`,
      `Billed Duration: ${Math.ceil(ms)} ms`,
      `Memory Size: ${memoryMb} MB`,
      `Max Memory Used: ${Math.min(memoryMb, Math.ceil(this.#peakBytes / 2 ** 20))} MB`,
    ];
    if (this.#initMs !== null) parts.push(`Init Duration: ${this.#initMs.toFixed(2)} ms`);
    this.#initMs = null;
    this.#write(`END RequestId: ${requestId}`);
    this.#write(parts.join('\t'));
  }

  #watchMemory(): NodeJS.Timeout {
    const { memoryMb = 512 } = this.#settings;
    return setInterval(() => {
      void this.#lookAtMemory().then((bytes) => {
        if (bytes > memoryMb * 2 ** 20) this.#end('memory');
      });
    }, MEMORY_CHECK_MS);
  }

  async #lookAtMemory(): Promise<number> {
    // Gone meanwhile, or no Linux: then there is nothing to see.
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8').catch(() => '');
    const bytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
    return bytes;
  }

  #thaw(): void {
    if (this.#settings.freeze === true) this.#child.kill('SIGCONT');
  }

  #write(line: string): void {
    this.#log({
      functionName: this.#settings.name,
      environment: this.id,
      requestId: this.#current?.requestId ?? null,
      line,
    });
  }

  #nodeOptions(): readonly string[] {
    const { memoryMb = 512 } = this.#settings;
    return [`--max-old-space-size=${Math.floor(memoryMb * OLD_SPACE_SHARE)}`];
  }

  #environment(): NodeJS.ProcessEnv {
    const { name, folder, memoryMb = 512, region = 'us-east-1', handler = 'index.handler' } = this.#settings;
    return {
      PATH: process.env['PATH'],
      LANG: 'en_US.UTF-8',
      TZ: ':UTC',
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_ACCESS_KEY_ID: 'twin',
      AWS_SECRET_ACCESS_KEY: 'twin',
      ...this.#settings.environment,
      AWS_LAMBDA_RUNTIME_API: this.#api.endpoint,
      AWS_LAMBDA_FUNCTION_NAME: name,
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: `${memoryMb}`,
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
      AWS_LAMBDA_LOG_STREAM_NAME: this.id,
      LAMBDA_TASK_ROOT: folder,
      _HANDLER: handler,
    };
  }
}

/** As Lambda's log writes it. */
function signalWord(signal: NodeJS.Signals): string {
  const words: Partial<Record<NodeJS.Signals, string>> = {
    SIGKILL: 'killed',
    SIGABRT: 'aborted',
    SIGSEGV: 'segmentation fault',
    SIGTERM: 'terminated',
  };
  return words[signal] ?? signal;
}
