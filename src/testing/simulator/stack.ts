import { QueueMapping } from '../../adapters/inmemory/queue-mapping.ts';
import { StreamMapping } from '../../adapters/inmemory/stream-mapping.ts';
import type { InMemoryStream, StreamRecord } from '../../adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../adapters/inmemory/task-queue.ts';
import { unpackFrame } from '../../application/frames/frame-codec.ts';
import { messageOf } from '../../domain/errors.ts';
import type { FunctionCall, Functions, Program, QueuedMessage } from './functions.ts';
import type { FunctionProcess } from './function-process.ts';
import { SimulatedStream } from './simulated-stream.ts';
import { TIMEOUT_MS, unstopped, type World } from './world.ts';

export interface StackOptions {
  readonly shards: number;
  /** Functions of one kind that run at once. */
  readonly concurrency: number;
  /** Records of one batch of the stream. */
  readonly batchRecords: number;
  /** Deliveries after which a task that comes back is a dead letter. */
  readonly maxReceives: number;
}

/** As AWS advises: several times the function's own. */
const VISIBILITY_MS = 6 * TIMEOUT_MS;
/** Lambda keeps no message hidden while its function runs. */
const NO_HEARTBEAT_MS = 1e12;
const MAX_ATTEMPTS = 4;
const BACKOFF = { baseMs: 500, maxMs: 30_000 };
/** Times that the platform calls a function again which nothing waits for. */
const ASYNC_RETRIES = 2;
const LATE_MS = 1_800_000;
/** How often messages are delivered around the moment at which a process that stood still over them goes on, and how long before it the first time. */
const DELIVERIES_AROUND = 10;
const AROUND_MS = 30;

/**
 * What is deployed for one pipeline: its queue and its stream, and what brings their content to its functions as AWS's event
 * source mappings do.
 */
export class Stack {
  readonly queue: InMemoryTaskQueue;
  readonly stream: SimulatedStream;
  /** What the platform could not go on from. */
  readonly broken: unknown[] = [];
  readonly #world: World;
  readonly #functions: Functions;
  readonly #options: StackOptions;
  readonly #programs: Program[] = [];
  readonly #stop = new AbortController();
  readonly #mappings: Promise<void>[] = [];
  /** What is to happen when so many more batches of frames have been analyzed. */
  readonly #awaited: { batches: number; readonly happen: () => void }[] = [];
  /** What the mapping gave up, kept by the on-failure destination. */
  #undelivered: StreamRecord[] = [];
  #runs = 0;

  constructor(world: World, functions: Functions, program: Program, options: StackOptions) {
    const { scheduler: clock, random } = world;
    this.#world = world;
    this.#functions = functions;
    this.#options = options;
    this.#programs.push(program);
    this.queue = new InMemoryTaskQueue({ clock }, { maxReceives: options.maxReceives });
    this.stream = new SimulatedStream({ clock, random }, program.pipeline.partitions, options.shards);
    this.#runMapping(this.#tasksToTransform());
    this.#runMapping(this.#recordsToAnalyze(this.stream.current));
  }

  /** The newest. */
  get program(): Program {
    return this.#programs.at(-1) as Program;
  }

  /** What was ever deployed, the newest last. */
  get programs(): readonly Program[] {
    return this.#programs;
  }

  /** Calls that come from now on run this code. */
  deploy(program: Program): void {
    this.#programs.push(program);
    this.#world.history.note(`deployed ${program.build}`);
  }

  afterBatches(batches: number, happen: () => void): void {
    this.#awaited.push({ batches, happen });
  }

  reshard(shards: number): void {
    this.#world.history.note(`resharded to ${shards}`);
    this.#runMapping(this.#recordsToAnalyze(this.stream.reshard(shards)));
  }

  /** Plans the lake; tried again as the platform does. */
  dispatch(location: string): Promise<void> {
    const run = this.#newRun('dispatch');
    return this.#asynchronously('dispatch', (call) => this.#functions.dispatch(run, location, call));
  }

  takeOver(): Promise<void> {
    const run = this.#newRun('take-over');
    return this.#asynchronously('take-over', (call) => this.#functions.takeOver(run, call));
  }

  reprocess(): Promise<void> {
    const run = this.#newRun('redrive');
    return this.#asynchronously('reprocess', (call) => this.#functions.reprocess(run, call));
  }

  /** Versions stand beside each other over one store: each run has an id of its own. */
  #newRun(what: string): string {
    return `${what}-${++this.#runs}-of-v${this.program.pipeline.version}`;
  }

  /**
   * A queue delivers messages from elsewhere until they are taken: now and then to two at once, and now and then once more; and where a
   * process stands still over them, to others just before and just after it goes on:
   *
   *     one:      claim ── stands still, past its lease ────────────────▶ release: these keys are not its own any more
   *     another:                                            claim ─────────── put ──▶ commit
   *     a third:                                                                 claim: busy
   */
  async deliver(source: string, messages: readonly QueuedMessage[]): Promise<void> {
    const { scheduler, random, faults } = this.#world;
    for (let left = messages; left.length > 0;) {
      const batch = left;
      const processes: FunctionProcess[] = [];
      const ingest = () =>
        this.#invoke('ingest', (call) => {
          processes.push(call.process);
          return this.#functions.ingest(source, batch, call);
        });
      const receivers = faults.strikes('duplicate-delivery') ? [ingest(), ingest()] : [ingest()];
      const ends = await Promise.allSettled(receivers);
      // Of an invocation that fails all come again.
      const again = new Set(ends.flatMap((end) => (end.status === 'fulfilled' ? end.value : batch)));
      const asleep = processes.find(({ standsStill }) => standsStill);
      if (asleep !== undefined) await this.#deliverAround(asleep.goesOnAt, ingest);
      left = faults.strikes('duplicate-delivery') ? messages : batch.filter((message) => again.has(message));
      await scheduler.sleep(1_000 + random.next() * VISIBILITY_MS, unstopped);
    }
  }

  async #deliverAround(at: number, ingest: () => Promise<unknown>): Promise<void> {
    const { scheduler, faults } = this.#world;
    await scheduler.sleep(at - scheduler.now() - AROUND_MS, unstopped);
    const deliveries = Array.from({ length: DELIVERIES_AROUND }, () => {
      // Also where the time of faults is over: this one is not.
      faults.planned('duplicate-delivery');
      return ingest();
    });
    await Promise.allSettled(deliveries);
  }

  /** What the mapping had given up goes into the stream again, but for what is no frame. @returns how many records */
  async putAgain(): Promise<number> {
    const records = this.#undelivered;
    this.#undelivered = [];
    let put = 0;
    for (const { partition, data } of records) {
      if (!(await isFrame(data))) continue;
      await this.stream.append(partition, data, unstopped);
      put++;
    }
    return put;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#mappings);
  }

  #runMapping(mapping: { run(signal: AbortSignal): Promise<void> }): void {
    this.#mappings.push(
      mapping.run(this.#stop.signal).catch((thrown: unknown) => void this.broken.push(thrown)),
    );
  }

  #tasksToTransform(): QueueMapping {
    const { scheduler: clock, random, faults } = this.#world;
    return new QueueMapping(
      { queue: this.queue, clock, random },
      {
        concurrency: this.#options.concurrency,
        visibilityMs: VISIBILITY_MS,
        heartbeatMs: NO_HEARTBEAT_MS,
        backoff: BACKOFF,
        handler: async (task) => {
          if (faults.strikes('lost-task')) return;
          await this.#invoke('transform', (call) => this.#functions.transform(task, call));
          if (faults.strikes('duplicate-delivery')) throw new Error('delivered again, as planned');
        },
      },
    );
  }

  #recordsToAnalyze(stream: InMemoryStream): StreamMapping {
    const { scheduler: clock, random, faults } = this.#world;
    return new StreamMapping(
      { stream, clock, random },
      {
        batchRecords: this.#options.batchRecords,
        maximumAttempts: MAX_ATTEMPTS,
        backoff: BACKOFF,
        handler: async ({ records }) => {
          const failedFrom = await this.#invoke('analyze', (call) => this.#functions.analyze(records, call));
          for (const awaited of this.#awaited) if (--awaited.batches === 0) awaited.happen();
          for (const record of records) if (faults.strikes('late-delivery')) this.#deliverLate(record);
          if (faults.strikes('duplicate-delivery'))
            return { failedFrom: (records[0] as StreamRecord).sequenceNumber };
          return { failedFrom };
        },
        onFailure: async ({ records }) => void this.#undelivered.push(...records),
      },
    );
  }

  #deliverLate(record: StreamRecord): void {
    const { scheduler, random } = this.#world;
    scheduler.after(random.next() * LATE_MS, () => {
      this.#invoke('analyze', (call) => this.#functions.analyze([record], call)).catch(() => undefined);
    });
  }

  async #asynchronously(name: string, work: (call: FunctionCall) => Promise<void>): Promise<void> {
    for (let retry = 0; ; retry++) {
      try {
        return await this.#invoke(name, work);
      } catch (thrown) {
        this.#world.history.note(`${name} failed: ${messageOf(thrown)}`);
        if (retry === ASYNC_RETRIES) return;
        await this.#world.scheduler.sleep(60_000 * (retry + 1), unstopped);
      }
    }
  }

  #invoke<T>(name: string, work: (call: FunctionCall) => Promise<T>): Promise<T> {
    const { program } = this;
    return this.#world.invoke(name, (invocation) => {
      const { process } = invocation;
      const ports = {
        ...invocation.ports,
        sink: process.wire('sink', this.stream),
        tasks: process.wire('tasks', this.queue),
      };
      const kept = (build: string) => this.#programs.find((other) => other.build === build);
      return work({ ...invocation, ports, program, kept });
    });
  }
}

function isFrame(data: Uint8Array): Promise<boolean> {
  return unpackFrame(data).then(
    () => true,
    () => false,
  );
}
