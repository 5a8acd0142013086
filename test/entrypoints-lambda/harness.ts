import { randomUUID } from 'node:crypto';
import { ManualClock } from '../../src/adapters/inmemory/clock.ts';
import { InMemoryDedupStore } from '../../src/adapters/inmemory/dedup-store.ts';
import { InMemoryErrorRouter } from '../../src/adapters/inmemory/error-router.ts';
import { InMemoryKilledRows } from '../../src/adapters/inmemory/killed-rows.ts';
import { InMemoryLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { InMemoryObjectSource } from '../../src/adapters/inmemory/object-source.ts';
import { SeededRandom } from '../../src/adapters/inmemory/random.ts';
import { InMemoryResultStore } from '../../src/adapters/inmemory/result-store.ts';
import { InMemoryStream, type StreamRecord } from '../../src/adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../src/adapters/inmemory/task-queue.ts';
import { readFailureMessage } from '../../src/adapters/aws/failure-message.ts';
import { isListed } from '../../src/adapters/aws/locations.ts';
import { messageLineOfBody, taskOfBody } from '../../src/adapters/aws/sqs-message.ts';
import { mergeStates } from '../../src/application/measures/state.ts';
import type { ObjectName } from '../../src/domain/lake-object.ts';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import type { ObjectSource } from '../../src/domain/ports/object-source.ts';
import type { ResultStore } from '../../src/domain/ports/result-store.ts';
import { parseJson, type LambdaContext, type LambdaHandler } from '../../src/entrypoints/lambda/events.ts';
import { analyzeFunction } from '../../src/entrypoints/lambda/handle-analyze.ts';
import { dispatchFunction } from '../../src/entrypoints/lambda/handle-dispatch.ts';
import type { HandOn } from '../../src/entrypoints/lambda/handle-undelivered.ts';
import { reprocessFunction } from '../../src/entrypoints/lambda/handle-reprocess.ts';
import { transformFunction } from '../../src/entrypoints/lambda/handle-transform.ts';
import type { FunctionName, Surroundings } from '../../src/entrypoints/lambda/handler.ts';
import { KeptBundles } from '../../src/entrypoints/lambda/kept-bundles.ts';
import { locationOf } from '../../src/entrypoints/lambda/order.ts';
import { Pace } from '../../src/entrypoints/lambda/pace.ts';
import type { Probe } from '../../src/entrypoints/lambda/probe-process.ts';
import type { ShardRange } from '../../src/entrypoints/lambda/undelivered-words.ts';
import { definePipeline } from '../../src/domain/pipeline.ts';
import { count, sum } from '../../src/domain/measure.ts';

export const BUILD = 'build-1';
export const STATE_BUCKET = 'state';
export const ARNS = {
  tasks: 'arn:aws:sqs:eu-central-1:111122223333:tasks',
  messages: 'arn:aws:sqs:eu-central-1:111122223333:messages',
  dispatch: 'arn:aws:sqs:eu-central-1:111122223333:dispatch',
  failures: 'arn:aws:sqs:eu-central-1:111122223333:failures',
  stream: 'arn:aws:kinesis:eu-central-1:111122223333:stream/frames',
  elsewhere: 'arn:aws:kinesis:eu-central-1:111122223333:stream/elsewhere',
} as const;

export const unstopped = new AbortController().signal;

/** What becomes of a row is written in it. */
export interface TestRow {
  readonly lane: string;
  readonly delay: number;
  readonly fails?: 'transform' | 'analyze';
}

export function testPipeline(
  overrides: Partial<Parameters<typeof definePipeline>[0]> & { readonly mended?: boolean } = {},
): AnyPipeline {
  const { mended = false, ...declared } = overrides;
  return definePipeline({
    name: 'lanes',
    version: 1,
    source: { format: 'jsonl' },
    transform: (row: unknown) => {
      if (!mended && (row as TestRow).fails === 'transform') throw new TypeError('as it was asked to');
      return row as TestRow;
    },
    partitionBy: ({ lane }: TestRow) => lane,
    analyze: {
      groupBy: ({ lane, fails }: TestRow) => {
        if (!mended && fails === 'analyze') throw new TypeError('as it was asked to');
        return lane;
      },
      measures: { rows: count(), delay: sum(({ delay }: TestRow) => delay) },
    },
    partitions: 4,
    limits: { sectionBytes: 200 },
    ...declared,
  } as never) as AnyPipeline;
}

export function jsonl(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

const noClaims = { redeem: async (data: Uint8Array) => data };

/** Time goes on by itself where somebody waits for a moment; nobody waits until the end of an invocation. */
class ObligingClock extends ManualClock {
  override async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (ms > 2_000) return super.sleep(ms, signal);
    signal.throwIfAborted();
    await this.advance(ms);
  }
}

/** Everything that the functions share, in memory: what would outlive their containers. */
export class World {
  readonly clock: ManualClock = new ObligingClock(Date.UTC(2026, 10, 23, 9));
  readonly random = new SeededRandom({ clock: this.clock }, 7);
  readonly log = new InMemoryLog();
  readonly lake = new InMemoryObjectSource();
  readonly store = new InMemoryResultStore(mergeStates);
  readonly router = new InMemoryErrorRouter();
  readonly queue = new InMemoryTaskQueue({ clock: this.clock });
  readonly dedup = new InMemoryDedupStore({ clock: this.clock });
  readonly killed = new InMemoryKilledRows();
  readonly stream: InMemoryStream;
  readonly orders: Readonly<Record<string, unknown>>[] = [];
  /** What reprocess hands on to transform, and to itself. */
  readonly taskOrders: object[] = [];
  readonly undeliveredCalls: object[] = [];
  /** Records of ranges of shards, by first sequence number. */
  readonly shards = new Map<string, readonly Uint8Array[]>();
  /** Counters of every invocation that is over. */
  readonly flushed: InMemoryMetrics[] = [];
  /** In the order in which they were opened. */
  readonly spans: { readonly name: string; readonly attributes: Readonly<Record<string, string>> }[] = [];
  starts = 0;
  readonly pipeline: AnyPipeline;
  readonly build: string;

  constructor(pipeline: AnyPipeline = testPipeline(), build = BUILD) {
    this.pipeline = pipeline;
    this.build = build;
    this.stream = new InMemoryStream(
      { clock: this.clock, random: this.random },
      { partitions: pipeline.partitions, shards: 2, trimAtCheckpoint: false },
    );
  }

  /** Another build in the same surroundings, as after a deployment. */
  succeededBy(build: string, pipeline = this.pipeline): World {
    const { clock, random, lake, store, router, queue, dedup, stream, orders } = this;
    return Object.assign(new World(pipeline, build), {
      clock,
      random,
      lake,
      store,
      router,
      queue,
      dedup,
      stream,
      orders,
    });
  }

  get surroundings(): Surroundings {
    return {
      clock: this.clock,
      log: this.log,
      startMetrics: () => {
        const metrics = new InMemoryMetrics();
        return { metrics, flush: () => void this.flushed.push(metrics) };
      },
      traced: (name, attributes, work) => {
        this.spans.push({ name, attributes });
        return work();
      },
    };
  }

  /** The lake, with places as they are written for S3. */
  get source(): ObjectSource {
    const { lake } = this;
    return {
      capabilities: lake.capabilities,
      list: (location, signal, after) => lake.list(location.replace('s3://', ''), signal, after),
      stat: (name, signal) => lake.stat(name, signal),
      read: (object, range, signal) => lake.read(object, range, signal),
    };
  }

  kept(name: FunctionName, folder?: string): KeptBundles {
    const { source, pipeline } = this;
    return new KeptBundles({
      source,
      bucket: STATE_BUCKET,
      pipeline: pipeline.name,
      name,
      ...(folder === undefined ? {} : { folder }),
    });
  }

  get dispatchPorts() {
    const { source, store, queue: tasks, router, random } = this;
    return {
      source,
      isOfLake: (name: ObjectName) => isListed(name, ['s3://lake/_days/']),
      store: store as ResultStore,
      tasks,
      router,
      random,
      orders: {
        send: async (order: Readonly<Record<string, unknown>>) => {
          // As it travels: nothing of it but JSON.
          this.orders.push(JSON.parse(JSON.stringify(order)) as Record<string, unknown>);
        },
        read: async (body: string): Promise<unknown> => parseJson(body, 'an order'),
      },
    };
  }

  get transformPorts() {
    const { source, queue: tasks, random, stream: sink, dedup } = this;
    return {
      source,
      tasks,
      killed: this.killed,
      random,
      sink,
      dedup,
      arrivals: {
        task: (body: string, signal: AbortSignal) => taskOfBody(body, noClaims, signal),
        messageLine: (body: string, signal: AbortSignal) => messageLineOfBody(body, noClaims, signal),
      },
      kept: this.kept('transform'),
      probe: null as Probe | null,
      rowTimeoutMs: 30_000,
      streamName: 'frames',
      queues: { tasks: 'tasks', messages: 'messages' },
    };
  }

  get analyzePorts() {
    const { store, router } = this;
    return {
      store: store as ResultStore,
      router,
      claims: noClaims,
      kept: this.kept('analyze'),
      concurrency: 2,
    };
  }

  get reprocessPorts() {
    const { source, store, queue: tasks, random, stream: sink, shards } = this;
    return {
      source,
      store: store as ResultStore,
      tasks,
      random,
      sink,
      claims: noClaims,
      kept: this.kept('analyze'),
      pace: new Pace(Number.POSITIVE_INFINITY, this.clock),
      streamName: 'frames',
      readShard: async function* ({ from }: ShardRange) {
        for (const data of shards.get(from) ?? []) yield [{ key: '0', data }];
      },
      handOn: {
        toTransform: async (name: ObjectName) => void this.taskOrders.push({ undelivered: locationOf(name) }),
        toItself: async (call: Readonly<Record<string, unknown>>) => void this.undeliveredCalls.push(call),
      } as HandOn,
      letters: {
        read: async (body: string) => body,
        failure: readFailureMessage,
        task: (text: string, signal: AbortSignal) => taskOfBody(text, noClaims, signal),
      },
    };
  }

  dispatch(ports: Partial<World['dispatchPorts']> = {}): LambdaHandler {
    return dispatchFunction(this.pipeline, this.build, this.surroundings, () =>
      this.#start({ ...this.dispatchPorts, ...ports }),
    );
  }

  transform(ports: Partial<World['transformPorts']> = {}): LambdaHandler {
    return transformFunction(this.pipeline, this.build, this.surroundings, () =>
      this.#start({ ...this.transformPorts, ...ports }),
    );
  }

  analyze(ports: Partial<World['analyzePorts']> = {}): LambdaHandler {
    return analyzeFunction(this.pipeline, this.build, this.surroundings, () =>
      this.#start({ ...this.analyzePorts, ...ports }),
    );
  }

  reprocess(ports: Partial<World['reprocessPorts']> = {}): LambdaHandler {
    return reprocessFunction(this.pipeline, this.build, this.surroundings, () =>
      this.#start({ ...this.reprocessPorts, ...ports }),
    );
  }

  async #start<Ports>(ports: Ports): Promise<Ports> {
    this.starts++;
    return ports;
  }

  /** All records of the stream that are not checkpointed, by shard; they stay. */
  records(): readonly StreamRecord[] {
    return Array.from({ length: this.stream.shards }, (_, shard) =>
      this.stream.read(shard, this.stream.checkpoint(shard), 10_000, Number.POSITIVE_INFINITY),
    ).flat();
  }

  /** Takes tasks off the queue, as bodies. */
  async takeTasks(max = Number.POSITIVE_INFINITY): Promise<readonly string[]> {
    const bodies: string[] = [];
    for (;;) {
      if (bodies.length >= max) return bodies;
      const [received] = await this.queue.receive(1, 1_000_000, unstopped);
      if (received === undefined) return bodies;
      bodies.push(JSON.stringify(received.task));
      await this.queue.delete(received.receipt, unstopped);
    }
  }

  /** Tasks and records are worked off until there are none. */
  async drain(transform = this.transform(), analyze = this.analyze()): Promise<void> {
    for (;;) {
      const tasks = await this.takeTasks();
      if (tasks.length === 0) break;
      expectDone(await transform(sqsEvent(ARNS.tasks, tasks), this.context()));
    }
    for (let shard = 0; shard < this.stream.shards; shard++) {
      for (;;) {
        const records = this.stream.read(shard, this.stream.checkpoint(shard), 100, 6_000_000);
        if (records.length === 0) break;
        expectDone(await analyze(kinesisEvent(ARNS.stream, records), this.context()));
        this.stream.setCheckpoint(shard, (records.at(-1) as StreamRecord).sequenceNumber);
      }
    }
  }

  context(remainingMs = 60_000): LambdaContext {
    const endsAt = this.clock.now() + remainingMs;
    return {
      awsRequestId: randomUUID(),
      functionName: 'test',
      getRemainingTimeInMillis: () => endsAt - this.clock.now(),
    };
  }

  errors(): readonly string[] {
    return this.log.lines.filter(({ level }) => level === 'error').map(({ message }) => message);
  }
}

function expectDone(reply: unknown): void {
  const { batchItemFailures } = reply as { batchItemFailures: readonly unknown[] };
  if (batchItemFailures.length > 0) throw new Error(`not done: ${JSON.stringify(batchItemFailures)}`);
}

export function sqsEvent(arn: string, bodies: readonly (string | object)[]) {
  return {
    Records: bodies.map((body, index) => ({
      messageId: `message-${index}`,
      receiptHandle: `receipt-${index}`,
      body: typeof body === 'string' ? body : JSON.stringify(body),
      attributes: { ApproximateReceiveCount: '1', SentTimestamp: String(Date.UTC(2026, 10, 23, 8)) },
      messageAttributes: {},
      eventSource: 'aws:sqs',
      eventSourceARN: arn,
      awsRegion: 'eu-central-1',
    })),
  };
}

export function kinesisEvent(
  arn: string,
  records: readonly {
    readonly partition: number;
    readonly sequenceNumber: string;
    readonly data: Uint8Array;
    readonly arrivedAt: number;
    readonly round?: number;
  }[],
) {
  return {
    Records: records.map(({ partition, sequenceNumber, data, arrivedAt, round }) => ({
      kinesis: {
        kinesisSchemaVersion: '1.0',
        partitionKey: round === undefined ? String(partition) : `${partition}+${round}`,
        sequenceNumber,
        data: Buffer.from(data).toString('base64'),
        approximateArrivalTimestamp: arrivedAt / 1000,
      },
      eventSource: 'aws:kinesis',
      eventVersion: '1.0',
      eventID: `shardId-000000000000:${sequenceNumber}`,
      eventName: 'aws:kinesis:record',
      eventSourceARN: arn,
      awsRegion: 'eu-central-1',
    })),
  };
}

export function objectCreated(bucket: string, key: string) {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Object Created',
    source: 'aws.s3',
    account: '111122223333',
    time: '2026-11-23T09:00:00Z',
    region: 'eu-central-1',
    resources: [`arn:aws:s3:::${bucket}`],
    detail: { version: '0', bucket: { name: bucket }, object: { key, size: 1, etag: 'e', sequencer: '0' } },
  };
}

/** @param key as S3 encodes it */
export function s3Notification(bucket: string, ...keys: readonly string[]) {
  return {
    Records: keys.map((key) => ({
      eventVersion: '2.1',
      eventSource: 'aws:s3',
      awsRegion: 'eu-central-1',
      eventTime: '2026-11-23T09:00:00.000Z',
      eventName: 'ObjectCreated:Put',
      s3: { s3SchemaVersion: '1.0', bucket: { name: bucket }, object: { key, size: 1, eTag: 'e' } },
    })),
  };
}

export function failedItems(reply: unknown): readonly string[] {
  return (reply as { batchItemFailures: readonly { itemIdentifier: string }[] }).batchItemFailures.map(
    ({ itemIdentifier }) => itemIdentifier,
  );
}
