import type { Transferable } from 'node:worker_threads';
import { isSluiceError, messageOf } from '../../../domain/errors.ts';
import type { Clock, Counter, Log, LogFields, Metrics } from '../../../domain/ports/ambient.ts';
import type { KilledRow, KilledRows, KilledScope } from '../../../domain/ports/killed-rows.ts';
import type {
  PutOutcome,
  RecordSink,
  RecordSinkCapabilities,
  SinkRecord,
} from '../../../domain/ports/record-sink.ts';
import type { TaskQueue, TaskQueueCapabilities } from '../../../domain/ports/task-queue.ts';
import type { Task } from '../../../domain/section.ts';
import { crossed, uncrossed, type CrossedError } from './crossed-error.ts';
import { tamer } from '../../log-fields.ts';
import type { Peer, Services } from './peer.ts';

/** What a worker works with that lies on the main thread. */
export interface SharedPorts {
  readonly sink: RecordSink;
  readonly tasks: TaskQueue;
  readonly killed: KilledRows;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What of them has to be known before anything is asked. */
export interface SharedCapabilities {
  readonly sink: RecordSinkCapabilities;
  readonly tasks: TaskQueueCapabilities;
}

export function capabilitiesOf({ sink, tasks }: SharedPorts): SharedCapabilities {
  return { sink: sink.capabilities, tasks: tasks.capabilities };
}

interface LogNotice {
  readonly level: keyof Log;
  readonly fields: LogFields;
  readonly message: string;
}

/** The main thread's side of `remotePorts`. */
export function portServices({ sink, tasks, killed, log, metrics }: SharedPorts): Services {
  return {
    put: (records: readonly SinkRecord[], signal: AbortSignal) => putOrGiveBack(sink, records, signal),
    sendTasks: (sent: readonly Task[], signal: AbortSignal) => tasks.send(sent, signal),
    killedRowsOf: (scope: KilledScope, signal: AbortSignal) => killed.of(scope, signal),
    log: ({ level, fields, message }: LogNotice) => log[level](fields, message),
    count: (counts: readonly (readonly [Counter, number])[]) => {
      for (const [counter, value] of counts) metrics.add(counter, value);
    },
    // Nobody awaits it here either: it ends this process as it would have ended that one.
    notAwaited: (error: CrossedError) =>
      queueMicrotask(() => {
        throw uncrossed(error);
      }),
  };
}

/** Says on the main thread that something was thrown which nobody awaits. */
export function sayNotAwaited(peer: Peer, thrown: unknown): void {
  peer.notify('notAwaited', crossed(thrown));
}

/** The records moved here: one that is not accepted has to go back. */
async function putOrGiveBack(
  sink: RecordSink,
  records: readonly SinkRecord[],
  signal: AbortSignal,
): Promise<readonly PutOutcome[]> {
  let outcomes: readonly PutOutcome[];
  try {
    outcomes = await sink.put(records, signal);
  } catch (thrown) {
    if (isSluiceError(thrown) && !thrown.retryable) throw thrown;
    const message = messageOf(thrown);
    return records.map(({ data }) => ({ accepted: false, reason: 'failed', retryable: true, message, data }));
  }
  return records.map(({ data }, index) => {
    const outcome: PutOutcome = outcomes[index] ?? {
      accepted: false,
      reason: 'failed',
      retryable: true,
      message: 'no outcome was given',
    };
    return outcome.accepted || !outcome.retryable ? outcome : { ...outcome, data };
  });
}

/** Counts are gathered for so long before they are told, in milliseconds. */
const COUNTS_MS = 100;

/** The main thread's ports, for the code of a worker. */
export function remotePorts(
  peer: Peer,
  capabilities: SharedCapabilities,
  clock: Clock,
): SharedPorts & { flush(): void } {
  const metrics = new GatheredMetrics(peer, clock);
  const call = async (name: string, argument: unknown, signal: AbortSignal, transfer?: Transferable[]) => {
    signal.throwIfAborted();
    // What was counted before must not be told after it.
    metrics.flush();
    return peer.call(name, argument, transfer);
  };
  const tame = tamer();
  const say = (level: keyof Log) => (fields: LogFields, message: string) =>
    peer.notify('log', { level, fields: tame(fields), message } satisfies LogNotice);
  return {
    sink: {
      capabilities: capabilities.sink,
      put: async (records, signal) => {
        const moving = records.map(({ partition, data }) => ({ partition, data: movable(data) }));
        const transfer = moving.map(({ data }) => data.buffer);
        return (await call('put', moving, signal, transfer)) as readonly PutOutcome[];
      },
    },
    tasks: {
      capabilities: capabilities.tasks,
      send: async (tasks, signal) => void (await call('sendTasks', tasks, signal)),
      ...onlyOnMainThread,
    },
    killed: {
      of: async (scope, signal) => (await call('killedRowsOf', scope, signal)) as readonly KilledRow[],
      add: notHere,
    },
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    metrics,
    flush: () => metrics.flush(),
  };
}

/** Small buffers are views of a pool that others use, too. */
function movable(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = data;
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === data.byteLength;
  return isWhole ? new Uint8Array(buffer) : new Uint8Array(data);
}

class GatheredMetrics implements Metrics {
  readonly #peer: Peer;
  readonly #clock: Clock;
  readonly #counts = new Map<Counter, number>();
  #toldAt: number;

  constructor(peer: Peer, clock: Clock) {
    this.#peer = peer;
    this.#clock = clock;
    this.#toldAt = clock.now();
  }

  add(counter: Counter, value: number): void {
    this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + value);
    if (this.#clock.now() - this.#toldAt >= COUNTS_MS) this.flush();
  }

  flush(): void {
    this.#toldAt = this.#clock.now();
    if (this.#counts.size === 0) return;
    this.#peer.notify('count', [...this.#counts]);
    this.#counts.clear();
  }
}

const notHere = (): Promise<never> => Promise.reject(new Error('only the main thread does this'));
const onlyOnMainThread = { receive: notHere, extend: notHere, delete: notHere };
