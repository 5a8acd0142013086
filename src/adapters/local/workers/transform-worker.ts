import { setFlagsFromString } from 'node:v8';
import { Worker, type ResourceLimits } from 'node:worker_threads';
import { messageOf } from '../../../domain/errors.ts';
import type { FrameHeader } from '../../../domain/frame.ts';
import type { Task } from '../../../domain/section.ts';
import type { KnownVersion } from '../version-cache.ts';
import { Peer, threadChannel } from './peer.ts';
import { capabilitiesOf, portServices, type SharedCapabilities, type SharedPorts } from './remote-ports.ts';
import { SharedMark, type MarkLook } from './row-marks.ts';
import { WorkerEnded } from './worker-ended.ts';

/** What a worker is told when it transforms a task. */
export interface TaskOrder {
  readonly task: Task;
  /** What is known of the object's file; `undefined`: it is none, or nothing is. */
  readonly known: KnownVersion | undefined;
}

/** Transforms one task after the other, somewhere else than on the main thread. */
export interface TransformWorker {
  /** @throws WorkerEnded the worker is gone; it can be used no more, and has nothing under way */
  transform(order: TaskOrder): Promise<void>;
  /** Ends it at once, whatever it does. Resolves when it is gone. */
  end(why: WorkerEnded): Promise<void>;
}

/** What a frame does to the results, as the thread's code worked it out and encoded it. */
export interface WorkedOut {
  readonly header: FrameHeader;
  readonly effects: Uint8Array;
}

/** A worker whose rows can be looked at from outside. It works out frames, too: beside its task, between two batches of rows. */
export interface WatchedWorker extends TransformWorker {
  look(): MarkLook;
  /**
   * @returns `undefined` where the record has to be applied by somebody who can do more
   * @throws WorkerEnded as `transform`
   */
  workOut(record: Uint8Array): Promise<WorkedOut | undefined>;
}

/** What a thread is made with, as its code finds it in `workerData`. */
export interface ThreadData {
  /** The pipeline file. */
  readonly pipeline: string;
  readonly capabilities: SharedCapabilities;
  /** Where it marks the row that it is in. */
  readonly mark: SharedArrayBuffer;
  /** A file for the same, that is read when the process is gone. */
  readonly markFile: string | null;
}

export interface ThreadOptions {
  /** The module that the thread runs. */
  readonly entry: URL;
  readonly pipeline: string;
  /** What its objects may take, in MiB; buffers do not count. */
  readonly heapMb: number;
  readonly markFile?: string;
}

/** Node tells it for every thread that types are stripped; the main thread knows which warnings are of no use. */
export const QUIET = [
  '--disable-warning=ExperimentalWarning',
  '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
];

/**
 * V8 collects the whole heap of a thread each time it has grown by about as much as is alive, buffers counted in, and here little is: 54 times in
 * 134 MB of CSV, a tenth of the time. From this size on, in MiB, it is as always; a thread reads the setting when it starts.
 */
const INITIAL_OLD_SPACE_MB = 96;

/** For objects that were just made, in MiB. V8 would take twice as much: 60 MiB more for each thread, and no faster that could be measured. */
const YOUNG_GENERATION_MB = 48;

/** A worker that is a thread of this process. */
export class TransformThread implements WatchedWorker {
  readonly #mark = new SharedMark();
  readonly #worker: Worker;
  readonly #peer: Peer;
  readonly #heapMb: number;
  readonly #exited = Promise.withResolvers<void>();
  #fault: unknown;

  constructor(ports: SharedPorts, { entry, pipeline, heapMb, markFile }: ThreadOptions) {
    const resourceLimits: ResourceLimits = {
      maxOldGenerationSizeMb: heapMb,
      maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
    };
    const workerData: ThreadData = {
      pipeline,
      capabilities: capabilitiesOf(ports),
      mark: this.#mark.buffer,
      markFile: markFile ?? null,
    };
    this.#heapMb = heapMb;
    setFlagsFromString(`--initial-old-space-size=${INITIAL_OLD_SPACE_MB}`);
    this.#worker = new Worker(entry, {
      workerData,
      resourceLimits,
      execArgv: [...process.execArgv, ...QUIET],
    });
    this.#peer = new Peer(threadChannel(this.#worker), portServices(ports));
    this.#worker.on('error', (thrown) => (this.#fault = thrown));
    this.#worker.on('exit', (code) => {
      this.#peer.end(this.#died(code));
      this.#exited.resolve();
    });
  }

  async transform(order: TaskOrder): Promise<void> {
    await this.#peer.call('transform', order);
  }

  look(): MarkLook {
    return this.#mark.look();
  }

  async workOut(record: Uint8Array): Promise<WorkedOut | undefined> {
    return (await this.#peer.call('workOut', record)) as WorkedOut | undefined;
  }

  async end(why: WorkerEnded): Promise<void> {
    // First: what it may still say does not count.
    this.#peer.end(why);
    await this.#worker.terminate();
    await this.#exited.promise;
  }

  #died(exitCode: number): WorkerEnded {
    const isOutOfMemory =
      (this.#fault as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const why = isOutOfMemory
      ? `the worker ran out of memory: ${this.#heapMb} MiB of heap`
      : this.#fault === undefined
        ? `the worker ended with exit code ${exitCode}`
        : `the worker ended: ${messageOf(this.#fault)}`;
    return new WorkerEnded(why, { how: 'died', row: this.look().row });
  }
}
