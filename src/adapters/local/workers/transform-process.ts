import { fork, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Peer, processChannel } from './peer.ts';
import { capabilitiesOf, portServices, type SharedCapabilities, type SharedPorts } from './remote-ports.ts';
import { FileMark } from './row-marks.ts';
import type { RowLimits } from './row-watch.ts';
import { QUIET, type TaskOrder, type TransformWorker } from './transform-worker.ts';
import { WorkerEnded } from './worker-ended.ts';

/** What the process is told when it transforms its task. */
export interface ProcessOrder extends TaskOrder {
  readonly pipeline: string;
  readonly heapMb: number;
  readonly limits: RowLimits;
  readonly markFile: string;
  readonly capabilities: SharedCapabilities;
}

export interface ProcessOptions extends Omit<ProcessOrder, keyof TaskOrder | 'capabilities'> {
  /** The module that the process runs. */
  readonly entry: URL;
}

/**
 * A worker that is a process of its own, for tasks that are suspected: whatever their rows do to their process, this one goes on. Each
 * row is marked in a file before the pipeline's code gets it.
 */
export class TransformProcess implements TransformWorker {
  readonly #options: ProcessOptions;
  readonly #capabilities: SharedCapabilities;
  readonly #child: ChildProcess;
  readonly #peer: Peer;
  readonly #exited = Promise.withResolvers<void>();

  constructor(ports: SharedPorts, options: ProcessOptions) {
    this.#options = options;
    this.#capabilities = capabilitiesOf(ports);
    // A mark of an earlier process must not be taken for one of this.
    writeFileSync(options.markFile, '');
    this.#child = fork(fileURLToPath(options.entry), {
      serialization: 'advanced',
      execArgv: [...process.execArgv, ...QUIET],
      // What the pipeline prints is no output of the command.
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.#peer = new Peer(processChannel(this.#child), portServices(ports));
    this.#child.on('error', (thrown) => this.#gone(`the worker's process cannot be used: ${thrown.message}`));
    this.#child.on('exit', (code, signal) =>
      this.#gone(
        signal === null
          ? `the worker's process ended with exit code ${code}`
          : `the worker's process was ended by ${signal}`,
      ),
    );
  }

  async transform(order: TaskOrder): Promise<void> {
    const { pipeline, heapMb, limits, markFile } = this.#options;
    const capabilities = this.#capabilities;
    await this.#peer.call('transform', {
      ...order,
      pipeline,
      heapMb,
      limits,
      markFile,
      capabilities,
    } satisfies ProcessOrder);
  }

  async end(why: WorkerEnded): Promise<void> {
    this.#peer.end(why);
    this.#child.kill('SIGKILL');
    await this.#exited.promise;
  }

  #gone(why: string): void {
    this.#peer.end(new WorkerEnded(why, { how: 'died', row: FileMark.read(this.#options.markFile) }));
    this.#exited.resolve();
  }
}
