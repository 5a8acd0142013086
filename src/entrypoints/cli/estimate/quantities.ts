import type { Deployment } from './deployment.ts';
import {
  DATABASE_WRITE_BYTES,
  EVENT_BYTES,
  KEYS_PER_PAGE,
  LONG_POLL_SECONDS,
  MESSAGES_PER_REQUEST,
  MIB_OF_ONE_PROCESSOR,
  ON_DEMAND_ROUNDING_BYTES,
  PAYLOAD_UNIT_BYTES,
  queuePollers,
  SECONDS_PER_DAY,
} from './limits-of-aws.ts';
import { distinct, shapeOf, type ObjectShape } from './object-shape.ts';
import type { Rates } from './rates.ts';
import { messagesOf, type Workload } from './workload.ts';

/** Of one function. */
export interface FunctionQuantities {
  readonly invocations: number;
  /** Of all invocations together. */
  readonly seconds: number;
  readonly gigabyteSeconds: number;
}

/** What a workload asks of each service, in all; of a day's workload, that of one day. */
export interface Quantities {
  readonly shape: ObjectShape;
  readonly tasks: number;
  readonly messages: number;
  readonly s3: { readonly lists: number; readonly heads: number; readonly gets: number };
  /** Requests. */
  readonly sqs: {
    readonly sends: number;
    readonly receives: number;
    readonly deletes: number;
    /** Of these, all that messages from elsewhere take: whoever works on them needs their queue. */
    readonly ofMessages: number;
  };
  /** Requests to empty queues, of a whole day. */
  readonly idlePolls: number;
  readonly functions: Readonly<Record<'dispatch' | 'transform' | 'analyze', FunctionQuantities>>;
  readonly stream: {
    readonly putRequests: number;
    readonly records: number;
    readonly bytes: number;
    /** Put payload units, where shards are provisioned. */
    readonly payloadUnits: number;
    /** What is billed on demand, each way. */
    readonly roundedBytes: number;
  };
  readonly cache: {
    readonly claims: number;
    readonly scripts: number;
    readonly units: number;
    /** Of all keys that are remembered at once. */
    readonly bytes: number;
  };
  readonly database: {
    /** Those that write. */
    readonly transactions: number;
    readonly groupChanges: number;
    readonly processorSeconds: number;
    readonly logBytes: number;
    readonly writes: number;
    /** Rows of groups: once, however often they change. */
    readonly groupBytes: number;
    /** Rows of objects and of keys, which come in addition. */
    readonly addedBytes: number;
  };
  readonly logBytes: number;
}

const GIB = 1024;
/** As dispatch has it: objects in a transaction, and those of them that are opened at once. */
const PLANNED_TOGETHER = 500;
const OPENED_TOGETHER = 8;
/** A run that begins, its plan's transactions left aside, and one that says what it is when it is planned. */
const RUN_TRANSACTIONS = 2;
/** As transform takes messages in. */
const KEYS_PER_SCRIPT = 500;

export function quantitiesOf(workload: Workload, deployment: Deployment, rates: Rates): Quantities {
  const { objects, rows, arrival, keyedMessages, hours } = workload;
  const shape = shapeOf(workload, rates);
  const tasks = objects * shape.tasks;
  const seconds = hours * 3600;
  const byEvents = arrival === 'events';
  const keyed = keyedQuantities(workload, deployment, rates);

  const records = objects * (shape.frames + shape.sections);
  const orderBatches = byEvents
    ? objects / ordersPerBatch(objects / seconds, deployment)
    : Math.sign(objects);
  const { lists, sends, plans } = byEvents
    ? {
        lists: 0,
        sends: objects + objects * (1 + shape.singleSends),
        plans: objects * (shape.opened ? 2 : 1),
      }
    : {
        lists: Math.ceil(objects / KEYS_PER_PAGE),
        sends:
          objects * shape.singleSends +
          (shape.opened ? Math.ceil(objects / OPENED_TOGETHER) : batchesOf(objects)) +
          Math.sign(objects),
        plans:
          RUN_TRANSACTIONS * Math.sign(objects) +
          Math.ceil(objects / PLANNED_TOGETHER) +
          (shape.opened ? Math.ceil(objects / OPENED_TOGETHER) : 0),
      };

  const streamRecords = records + keyed.frames;
  const frameBytes =
    objects * shape.frames * shape.bytesPerFrame + objects * shape.sections * rates.frameBytes;
  const bytes = frameBytes + keyed.frames * keyed.bytesPerFrame;
  const groupChanges = objects * shape.groupChanges + keyed.groupChanges;
  const messages = messagesOf(workload);
  const transactions = streamRecords + plans;
  const databaseLogBytes =
    transactions * rates.databaseLogBytesPerTransaction + groupChanges * rates.databaseLogBytesPerGroup;

  const { memoryMiB } = deployment;
  const transformSeconds =
    (rows + keyedMessages) / rates.rowsPerSecond / processors(memoryMiB.transform) +
    tasks * rates.taskWaitSeconds +
    keyed.invocations * rates.invocationSeconds;
  const secondsPerTask = tasks === 0 ? 0 : transformSeconds / tasks;
  const transformInvocations =
    tasks * Math.max(1, Math.ceil(secondsPerTask / deployment.transformTimeoutSeconds)) + keyed.invocations;
  const analyzeInvocations = analyzeBatches(streamRecords, bytes, seconds, deployment);
  const publishing = SECONDS_PER_DAY / deployment.publishEverySeconds;
  const analyzeSeconds =
    (messages * rates.analyzeSecondsPerMessage + groupChanges * rates.analyzeSecondsPerGroup) /
      processors(memoryMiB.analyze) +
    (streamRecords * rates.roundTripsPerFrame * rates.roundTripSeconds) / deployment.databaseConnections +
    (analyzeInvocations + publishing) * rates.invocationSeconds;
  const dispatchSeconds =
    (objects * rates.dispatchSecondsPerObject + (objects * shape.searchedBytes) / rates.quoteBytesPerSecond) /
      processors(memoryMiB.dispatch) +
    orderBatches * rates.invocationSeconds;
  const functions = {
    dispatch: functionOf(orderBatches, dispatchSeconds, memoryMiB.dispatch),
    transform: functionOf(transformInvocations, transformSeconds, memoryMiB.transform),
    analyze: functionOf(analyzeInvocations + publishing, analyzeSeconds, memoryMiB.analyze),
  };
  const invocations = Object.values(functions).reduce((sum, each) => sum + each.invocations, 0);

  return {
    shape,
    tasks,
    messages,
    s3: {
      // The listing of verdicts is one for each task.
      lists: lists + tasks,
      heads: byEvents ? objects : 0,
      gets: objects * (shape.transformReads + shape.dispatchReads),
    },
    sqs: {
      sends: sends + keyed.requests,
      receives: tasks + orderBatches + keyed.requests,
      deletes: tasks + orderBatches + keyed.requests,
      ofMessages: 3 * keyed.requests,
    },
    idlePolls:
      ((deployment.polledQueues + (keyedMessages > 0 ? 1 : 0)) * queuePollers.start * SECONDS_PER_DAY) /
      LONG_POLL_SECONDS,
    functions,
    stream: {
      putRequests: objects * shape.putRequests + keyed.putRequests,
      records: streamRecords,
      bytes,
      payloadUnits: billed(shape, objects, rates, keyed, PAYLOAD_UNIT_BYTES),
      roundedBytes: billed(shape, objects, rates, keyed, ON_DEMAND_ROUNDING_BYTES) * ON_DEMAND_ROUNDING_BYTES,
    },
    cache: {
      claims: keyedMessages,
      scripts: keyed.scripts,
      units: keyedMessages * rates.cacheUnitsPerMessage,
      bytes: keyedMessages * rates.cacheDays * rates.cacheBytesPerKey,
    },
    database: {
      transactions,
      groupChanges,
      processorSeconds:
        transactions * rates.databaseSecondsPerTransaction + groupChanges * rates.databaseSecondsPerGroup,
      logBytes: databaseLogBytes,
      writes: databaseLogBytes / DATABASE_WRITE_BYTES,
      groupBytes: Math.min(workload.groups, messages) * rates.databaseBytesPerGroup,
      addedBytes: objects * rates.databaseBytesPerObject + keyedMessages * rates.databaseBytesPerKey,
    },
    logBytes: invocations * rates.logBytesPerInvocation,
  };
}

/** The share of a processor that memory buys; one row after the other uses no second one. */
export function processors(memoryMiB: number): number {
  return Math.min(1, memoryMiB / MIB_OF_ONE_PROCESSOR);
}

function functionOf(invocations: number, seconds: number, memoryMiB: number): FunctionQuantities {
  return { invocations, seconds, gigabyteSeconds: (seconds * memoryMiB) / GIB };
}

/** Tasks of objects that need not be opened are sent by ten, 500 objects at a time. */
function batchesOf(objects: number): number {
  const whole = Math.floor(objects / PLANNED_TOGETHER);
  return (
    (whole * PLANNED_TOGETHER) / MESSAGES_PER_REQUEST +
    Math.ceil((objects - whole * PLANNED_TOGETHER) / MESSAGES_PER_REQUEST)
  );
}

/** Orders that come within a mapping's window go to dispatch together. */
function ordersPerBatch(
  perSecond: number,
  { ordersBatchSize, ordersBatchingWindowSeconds }: Deployment,
): number {
  return Math.min(ordersBatchSize, 1 + perSecond * ordersBatchingWindowSeconds);
}

/** Of a lane of a shard one batch a window at most, or as many as it takes to hold all records. */
function analyzeBatches(records: number, bytes: number, seconds: number, deployment: Deployment): number {
  const { batchSize, batchingWindowSeconds, parallelizationFactor } = deployment;
  const atLeast = Math.max(records / batchSize, (bytes * 4) / 3 / EVENT_BYTES);
  const lanes = (deployment.shards ?? 1) * parallelizationFactor;
  const windows = (lanes * seconds) / Math.max(1, batchingWindowSeconds);
  return Math.min(records, Math.max(atLeast, windows));
}

interface KeyedQuantities {
  readonly invocations: number;
  /** To the queue, of each kind. */
  readonly requests: number;
  readonly scripts: number;
  readonly frames: number;
  readonly putRequests: number;
  readonly bytesPerFrame: number;
  readonly groupChanges: number;
}

/** Messages from elsewhere: gathered by the queue's pollers, claimed and sent by the five hundred. */
function keyedQuantities(workload: Workload, deployment: Deployment, rates: Rates): KeyedQuantities {
  const { keyedMessages, hours, partitions, groups, messagesPerRow, messageBytes } = workload;
  const { messagesBatchSize, messagesBatchingWindowSeconds } = deployment;
  const perWindow =
    (keyedMessages / (hours * 3600) / queuePollers.start) * Math.max(1, messagesBatchingWindowSeconds);
  const perBatch = Math.max(1, Math.min(messagesBatchSize, perWindow));
  const invocations = keyedMessages / perBatch;
  const slices = invocations * Math.ceil(perBatch / KEYS_PER_SCRIPT - 1e-9);
  const perSlice = slices === 0 ? 0 : keyedMessages / slices;
  // By the key of each, whatever `partitionBy` says.
  const lanes = distinct(partitions, perSlice);
  const frames = slices * lanes;
  const perFrame = frames === 0 ? 0 : (keyedMessages * messagesPerRow) / frames;
  return {
    invocations,
    requests: keyedMessages / Math.min(MESSAGES_PER_REQUEST, perBatch),
    scripts: 2 * slices,
    frames,
    putRequests: slices,
    bytesPerFrame: frames === 0 ? 0 : rates.frameBytes + perFrame * messageBytes * rates.packedShare,
    groupChanges: frames * distinct(groups, perFrame),
  };
}

/** Records of the stream in units of so many bytes, each rounded up. */
function billed(
  shape: ObjectShape,
  objects: number,
  rates: Rates,
  keyed: KeyedQuantities,
  unitBytes: number,
): number {
  return (
    objects * shape.frames * Math.ceil(shape.bytesPerFrame / unitBytes) +
    objects * shape.sections * Math.ceil(rates.frameBytes / unitBytes) +
    keyed.frames * Math.ceil(keyed.bytesPerFrame / unitBytes)
  );
}
