import { createHash } from 'node:crypto';
import { readFailureMessage } from '../../src/adapters/aws/failure-message.ts';
import { KinesisRecordSink } from '../../src/adapters/aws/record-sink.ts';
import { messageLineOfBody, taskOfBody } from '../../src/adapters/aws/sqs-message.ts';
import { silentLog } from '../../src/adapters/inmemory/log.ts';
import type { ObjectSource } from '../../src/domain/ports/object-source.ts';
import type { RecordSink } from '../../src/domain/ports/record-sink.ts';
import type { LambdaContext, PartialResponse } from '../../src/entrypoints/lambda/events.ts';
import { analyzeFunction } from '../../src/entrypoints/lambda/handle-analyze.ts';
import { dispatchFunction } from '../../src/entrypoints/lambda/handle-dispatch.ts';
import { reprocessFunction } from '../../src/entrypoints/lambda/handle-reprocess.ts';
import { transformFunction } from '../../src/entrypoints/lambda/handle-transform.ts';
import type { Surroundings } from '../../src/entrypoints/lambda/handler.ts';
import type { KeptBundles } from '../../src/entrypoints/lambda/kept-bundles.ts';
import { Pace } from '../../src/entrypoints/lambda/pace.ts';
import type {
  FunctionCall,
  Functions,
  Program,
  QueuedMessage,
} from '../../src/testing/simulator/functions.ts';
import { ARNS, kinesisEvent } from '../entrypoints-lambda/harness.ts';
import { kinesisOverSink } from './kinesis-over-sink.ts';

/** Shortly before the day ends on which histories begin. */
const ARRIVED_AT = Date.UTC(2026, 0, 1, 23, 57);

const noClaims = { check: async (data: Uint8Array) => data, redeem: async (data: Uint8Array) => data };

/** The functions as they are deployed, called as Lambda calls them: by events, with partial responses, through Kinesis's own client. */
export const lambdaFunctions: Functions = {
  async dispatch(run, location, call) {
    await dispatchHandler(call.program, call)({ prefix: `s3://${location}/`, run }, contextOf(call));
  },

  async takeOver(_run, call) {
    await dispatchHandler(call.program, call)({ takeOver: true }, contextOf(call));
  },

  async transform(task, call) {
    const event = sqsEvent(ARNS.tasks, [{ id: task.id, body: JSON.stringify(task) }], call);
    const failed = failedOf(await transformHandler(call.program, call)(event, contextOf(call)));
    if (failed.length > 0) throw new Error('the task comes again');
  },

  async ingest(_source, messages, call) {
    if (call.program.pipeline.source.id === undefined) return ingestStream(messages, call);
    const bodies = messages.map(({ key, row }) => ({ id: key, body: JSON.stringify(row) }));
    const event = sqsEvent(ARNS.messages, bodies, call);
    const failed = new Set(failedOf(await transformHandler(call.program, call)(event, contextOf(call))));
    return messages.filter(({ key }) => failed.has(key));
  },

  async analyze(records, call) {
    const event = kinesisEvent(ARNS.stream, records);
    const failed = failedOf(await analyzeHandler(call.program, call)(event, contextOf(call)));
    return failed[0] ?? null;
  },

  async reprocess(_run, call) {
    await reprocessHandler(call.program, call)({}, contextOf(call));
  },
};

/** Messages that are records of somebody else's stream: named by when and where they arrived, the same whenever they come. */
async function ingestStream(
  messages: readonly QueuedMessage[],
  call: FunctionCall,
): Promise<readonly QueuedMessage[]> {
  const records = messages.map(({ key, row }) => ({
    partition: 0,
    sequenceNumber: `49${key.padStart(20, '0')}`,
    data: Buffer.from(JSON.stringify(row), 'utf8'),
    arrivedAt: ARRIVED_AT,
  }));
  const event = kinesisEvent(ARNS.elsewhere, records);
  const [failed] = failedOf(await transformHandler(call.program, call)(event, contextOf(call)));
  if (failed === undefined) return [];
  return messages.slice(records.findIndex(({ sequenceNumber }) => sequenceNumber === failed));
}

function contextOf({ deadline, ports: { clock }, process }: FunctionCall): LambdaContext {
  return {
    awsRequestId: process.name,
    functionName: process.name,
    getRemainingTimeInMillis: () => deadline - clock.now(),
  };
}

function surroundingsOf({ ports: { clock, metrics } }: FunctionCall): Surroundings {
  return {
    clock,
    log: silentLog,
    startMetrics: () => ({ metrics, flush: () => undefined }),
    traced: (_span, _attributes, work) => work(),
  };
}

/** Another build's bundle: its handler, in the same process. */
function keptOf(call: FunctionCall, handlerOf: typeof transformHandler): KeptBundles {
  const kept = {
    async handle(build: string, record: unknown): Promise<boolean> {
      const owner = call.kept(build);
      if (owner === undefined) throw new Error(`build ${build} is not kept`);
      return failedOf(await handlerOf(owner, call)({ Records: [record] }, contextOf(call))).length === 0;
    },
    has: async (build: string) => call.kept(build) !== undefined,
  };
  return kept as unknown as KeptBundles;
}

function dispatchHandler({ pipeline, build }: Program, call: FunctionCall) {
  const { store, tasks, router, random } = call.ports;
  return dispatchFunction(pipeline, build, surroundingsOf(call), async () => ({
    source: lakeOf(call),
    store,
    tasks,
    router,
    random,
    isOfLake: () => true,
    orders: {
      // What is left of a listing is planned by the next dispatch.
      send: async () => undefined,
      read: async (body: string): Promise<unknown> => JSON.parse(body) as unknown,
    },
  }));
}

function transformHandler({ pipeline, build }: Program, call: FunctionCall) {
  const { tasks, random, dedup, killed } = call.ports;
  return transformFunction(pipeline, build, surroundingsOf(call), async () => ({
    source: lakeOf(call),
    tasks,
    random,
    dedup,
    killed,
    // No row of these hangs or ends its process.
    probe: null,
    rowTimeoutMs: 30_000,
    streamName: 'frames',
    sink: sinkOf(call, pipeline.partitions),
    arrivals: {
      task: (body: string, signal: AbortSignal) => taskOfBody(body, noClaims, signal),
      messageLine: (body: string, signal: AbortSignal) => messageLineOfBody(body, noClaims, signal),
    },
    kept: keptOf(call, transformHandler),
    queues: { tasks: 'tasks', messages: 'messages' },
  }));
}

function analyzeHandler({ pipeline, build }: Program, call: FunctionCall) {
  const { store, router } = call.ports;
  return analyzeFunction(pipeline, build, surroundingsOf(call), async () => ({
    store,
    router,
    claims: noClaims,
    kept: keptOf(call, analyzeHandler),
    concurrency: 3,
  }));
}

function reprocessHandler({ pipeline, build }: Program, call: FunctionCall) {
  const { store, tasks, random } = call.ports;
  return reprocessFunction(pipeline, build, surroundingsOf(call), async () => ({
    source: lakeOf(call),
    store,
    tasks,
    random,
    sink: sinkOf(call, pipeline.partitions),
    claims: noClaims,
    kept: keptOf(call, analyzeHandler),
    pace: new Pace(Number.POSITIVE_INFINITY, call.ports.clock),
    streamName: 'frames',
    // What the mapping gave up is put again by the simulator.
    readShard: async function* () {},
    handOn: { toTransform: async () => undefined, toItself: async () => undefined },
    letters: {
      read: async (body: string) => body,
      failure: readFailureMessage,
      task: (text: string, signal: AbortSignal) => taskOfBody(text, noClaims, signal),
    },
  }));
}

/** The lake, with places as they are written for S3. */
function lakeOf({ ports: { source } }: FunctionCall): ObjectSource {
  return {
    capabilities: source.capabilities,
    list: (location, signal, after) => source.list(location.replace('s3://', ''), signal, after),
    stat: (name, signal) => source.stat(name, signal),
    read: (object, range, signal) => source.read(object, range, signal),
  };
}

function sinkOf({ ports: { sink } }: FunctionCall, partitions: number): RecordSink {
  const ports = { calls: kinesisOverSink(sink), claims: noClaims };
  return new KinesisRecordSink(ports, { streamName: 'frames', partitions });
}

function sqsEvent(
  arn: string,
  messages: readonly { readonly id: string; readonly body: string }[],
  { ports: { clock } }: FunctionCall,
) {
  return {
    Records: messages.map(({ id, body }) => ({
      messageId: id,
      receiptHandle: createHash('sha256').update(id).digest('hex'),
      body,
      attributes: { ApproximateReceiveCount: '1', SentTimestamp: String(clock.now()) },
      messageAttributes: {},
      eventSource: 'aws:sqs',
      eventSourceARN: arn,
      awsRegion: 'eu-central-1',
    })),
  };
}

function failedOf(reply: unknown): readonly string[] {
  return (reply as PartialResponse).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
}
