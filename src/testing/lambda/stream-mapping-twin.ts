import { randomUUID } from 'node:crypto';
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  type GetRecordsOutput,
  GetShardIteratorCommand,
  type GetShardIteratorInput,
  type KinesisClient,
  ListShardsCommand,
  type Shard,
} from '@aws-sdk/client-kinesis';
import { SystemClock } from '../../adapters/inmemory/clock.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import { type Backoff, backoffMs, defaultBackoff } from '../../domain/retry.ts';
import { lowestSequenceNumber, readBatchResponse } from './batch-response.ts';
import { deliverDiscarded, type DiscardedBatch, type FailureDestination } from './failure-destination.ts';
import { type InvokeFunction, MAX_PAYLOAD_BYTES, ThrottledError } from './function-call.ts';
import { untilAnswered } from './source-calls.ts';
import { Lane, laneOf, ShardProgress, type ShardRecord } from './stream-shard.ts';

export interface StreamMappingTwinOptions {
  readonly kinesis: KinesisClient;
  readonly streamName: string;
  readonly invoke: InvokeFunction;
  /** Default `TRIM_HORIZON`. */
  readonly startingPosition?: 'TRIM_HORIZON' | 'LATEST';
  /** Records in one batch, 1 to 10,000. Default 100. */
  readonly batchSize?: number;
  /** How long a batch is gathered, in milliseconds, up to 300,000. Default 0. */
  readonly batchWindowMs?: number;
  /** Batches of one shard at once, 1 to 10, by partition key. Default 1. */
  readonly parallelizationFactor?: number;
  /** `FunctionResponseTypes: ['ReportBatchItemFailures']`. Default `false`, as on AWS. */
  readonly reportBatchItemFailures?: boolean;
  /** Whether a failed batch is split in two. Default `false`, as on AWS. */
  readonly bisectBatchOnFunctionError?: boolean;
  /** -1: for ever. Default -1, as on AWS. */
  readonly maximumRetryAttempts?: number;
  /** Older records are given up, in milliseconds; -1: never (AWS: 60 s to 7 days). Default -1, as on AWS. */
  readonly maximumRecordAgeMs?: number;
  /** What is given up goes here; without one it is lost. Default: none. */
  readonly onFailure?: FailureDestination;
  /** The mapping's id, in the keys of what is given up. Default: a random one. */
  readonly mappingId?: string;
  /** In what is given up. Default: that of a function named `function`. */
  readonly functionArn?: string;
  /** Between two looks at an empty shard, in milliseconds; AWS: 1,000. Default 100. */
  readonly pollMs?: number;
  /** Between tries of a batch. Default: `defaultBackoff` of the domain; AWS does not tell its own. */
  readonly backoff?: Backoff;
  /** Default: the machine's time. */
  readonly clock?: Clock;
}

/** What a mapping has done so far. */
export interface StreamMappingCounts {
  readonly batches: number;
  /** Batches that failed as a whole. */
  readonly failedBatches: number;
  /** Batches of which the function said where it came to. */
  readonly partialBatches: number;
  /** Records given to the function, as often as they were given. */
  readonly records: number;
  /** Records given up. */
  readonly discarded: number;
  readonly throttles: number;
}

/** The event around its records takes some of what Lambda allows. */
const BATCH_BYTES = MAX_PAYLOAD_BYTES - 1024;

/** A shard is read ahead of its lanes by so much, in records and bytes. */
const READ_AHEAD = { records: 20_000, bytes: 4 * MAX_PAYLOAD_BYTES };

/** How often a throttled function is called again, in milliseconds. */
const THROTTLE_PAUSE_MS = 100;

const IDLE_LOOK_MS = 20;

interface ShardState {
  readonly progress: ShardProgress;
  /** Calls of GetRecords that have begun. */
  reads: number;
  /** The last of them, by number, that found the end of the shard; -1: none. */
  endSeenBy: number;
  /** Nothing comes any more, and all that came has ended. */
  finished: boolean;
}

/** Records on their way through the function, and what was tried. */
interface Attempt {
  readonly records: readonly ShardRecord[];
  readonly retries: number;
  readonly invocations: number;
}

/**
 * Lambda's event source mapping for Kinesis, against any endpoint that speaks Kinesis: reads every shard in order, batches,
 * calls the function, goes on behind what succeeded, tries again, splits and gives up as it is set to.
 *
 * ```ts
 * const mapping = new StreamMappingTwin({ kinesis, streamName, invoke, reportBatchItemFailures: true });
 * const stop = new AbortController();
 * const running = mapping.run(stop.signal);   // await it: rejects with what broke the mapping
 * await mapping.idle(signal);                 // the end of every shard is seen, and nothing is in hand
 * stop.abort();
 * await running;                              // resolves when no batch is in hand any more
 * ```
 *
 * What is not through when `run` ends is read again by the next `run` of the same object.
 *
 * Where it differs from AWS, or AWS does not say: records that the function cannot be given (over 6 MB as base64) are given
 * up at once; a partial response goes on counting the retries of what is left, unless batches are split; a split batch whose
 * first record failed is halved; which keys share a lane; waits between tries; no tumbling windows, filters, enhanced
 * fan-out or polling by time.
 */
export class StreamMappingTwin {
  readonly #options: StreamMappingTwinOptions;
  readonly #clock: Clock;
  readonly #mappingId: string;
  readonly #shards = new Map<string, ShardState>();
  readonly #broken = new AbortController();
  readonly #counts: { -readonly [K in keyof StreamMappingCounts]: number } = {
    batches: 0,
    failedBatches: 0,
    partialBatches: 0,
    records: 0,
    discarded: 0,
    throttles: 0,
  };
  #streamArn = '';
  /** Times that shards are being looked for: at the start, and where one has ended. */
  #starting = 1;

  constructor(options: StreamMappingTwinOptions) {
    this.#options = options;
    this.#clock = options.clock ?? new SystemClock();
    this.#mappingId = options.mappingId ?? randomUUID();
  }

  get counts(): StreamMappingCounts {
    return { ...this.#counts };
  }

  /** Resolves after `signal` is aborted, when the batches in hand are through; rejects with what broke the mapping. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#broken.signal]);
    const running = new Map<string, Promise<void>>();
    this.#starting = 1;
    try {
      const summary = new DescribeStreamSummaryCommand({ StreamName: this.#options.streamName });
      const { StreamDescriptionSummary } = await this.#ask(() => this.#options.kinesis.send(summary), stop);
      this.#streamArn = StreamDescriptionSummary?.StreamARN ?? '';
      await this.#startReadable(running, stop, this.#options.startingPosition ?? 'TRIM_HORIZON');
      this.#starting -= 1;
      await new Promise<void>((resolve) => {
        if (stop.aborted) resolve();
        else stop.addEventListener('abort', () => resolve(), { once: true });
      });
    } catch (error) {
      if (!stop.aborted) this.#broken.abort(error);
    }
    // A shard that ends starts its children, so there may be more than there were.
    for (const shard of running.values()) await shard;
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }

  /** Resolves when every shard was read to its end after this was called, and everything read is through. */
  async idle(signal: AbortSignal): Promise<void> {
    const watched = AbortSignal.any([signal, this.#broken.signal]);
    while (this.#starting > 0) await this.#clock.sleep(IDLE_LOOK_MS, watched);
    const readsBefore = new Map([...this.#shards].map(([id, { reads }]) => [id, reads]));
    for (;;) {
      watched.throwIfAborted();
      const waits = [...this.#shards].some(
        ([id, { finished, endSeenBy, progress }]) =>
          !finished && (endSeenBy < (readsBefore.get(id) ?? 0) || progress.outstanding > 0),
      );
      if (!waits && this.#starting === 0) return;
      await this.#clock.sleep(IDLE_LOOK_MS, watched);
    }
  }

  /** Starts the shards that are not begun and whose parents are through, if they have any that still can be read. */
  async #startReadable(
    running: Map<string, Promise<void>>,
    stop: AbortSignal,
    position: 'TRIM_HORIZON' | 'LATEST',
  ): Promise<void> {
    const shards = await this.#listShards(stop);
    const known = new Set(shards.map(({ ShardId }) => ShardId));
    for (const { ShardId = '', ParentShardId, AdjacentParentShardId, SequenceNumberRange } of shards) {
      if (running.has(ShardId) || this.#shards.get(ShardId)?.finished === true) continue;
      const isClosed = SequenceNumberRange?.EndingSequenceNumber !== undefined;
      if (position === 'LATEST' && isClosed) {
        this.#state(ShardId).finished = true;
        continue;
      }
      const waits = [ParentShardId, AdjacentParentShardId].some(
        (parent) => parent !== undefined && known.has(parent) && this.#shards.get(parent)?.finished !== true,
      );
      if (!waits) running.set(ShardId, this.#runShard(ShardId, position, running, stop));
    }
  }

  async #runShard(
    shardId: string,
    position: 'TRIM_HORIZON' | 'LATEST',
    running: Map<string, Promise<void>>,
    stop: AbortSignal,
  ): Promise<void> {
    const state = this.#state(shardId);
    state.progress.rewind();
    const closed = new AbortController();
    const lanes = Array.from({ length: this.#options.parallelizationFactor ?? 1 }, () => new Lane());
    const reading = this.#readShard(shardId, position, state, lanes, stop).then(() => {
      closed.abort();
      for (const lane of lanes) lane.wake();
    });
    const working = lanes.map((lane) => this.#runLane(shardId, lane, state, closed.signal, stop));
    // What fails stops the others, and all of them are waited for.
    const guard = async (work: Promise<void>) => {
      try {
        await work;
      } catch (error) {
        if (!stop.aborted) this.#broken.abort(error);
      }
    };
    await Promise.all([reading, ...working].map(guard));
    if (stop.aborted) return;
    this.#starting += 1;
    state.finished = true;
    await guard(this.#startReadable(running, stop, 'TRIM_HORIZON'));
    this.#starting -= 1;
  }

  /** Resolves at the end of a shard that was split or merged; else it goes on until it is stopped. */
  async #readShard(
    shardId: string,
    position: 'TRIM_HORIZON' | 'LATEST',
    state: ShardState,
    lanes: readonly Lane[],
    stop: AbortSignal,
  ): Promise<void> {
    let last = state.progress.checkpoint;
    let iterator = await this.#iterator(shardId, last, position, stop);
    while (iterator !== undefined) {
      await this.#roomIn(lanes, stop);
      const read = state.reads++;
      const page = await this.#getRecords(iterator, stop);
      if (page === 'expired') {
        iterator = await this.#iterator(shardId, last, position, stop);
        continue;
      }
      const { Records = [], MillisBehindLatest = 0, NextShardIterator } = page;
      for (const { SequenceNumber = '', PartitionKey = '', Data, ApproximateArrivalTimestamp } of Records) {
        const arrival = ApproximateArrivalTimestamp?.getTime() ?? this.#clock.now();
        const record = this.#record(
          shardId,
          SequenceNumber,
          PartitionKey,
          Data ?? new Uint8Array(0),
          arrival,
        );
        state.progress.began(SequenceNumber);
        (lanes[laneOf(PartitionKey, lanes.length)] as Lane).push(record);
        last = SequenceNumber;
      }
      iterator = NextShardIterator;
      // The end of a closed shard is where its children begin.
      if (Records.length === 0 && MillisBehindLatest === 0 && iterator !== undefined) state.endSeenBy = read;
      if (Records.length === 0 && iterator !== undefined)
        await this.#clock.sleep(this.#options.pollMs ?? 100, stop);
    }
  }

  async #roomIn(lanes: readonly Lane[], stop: AbortSignal): Promise<void> {
    const full = () =>
      lanes.reduce((sum, { count }) => sum + count, 0) >= READ_AHEAD.records ||
      lanes.reduce((sum, { bytes }) => sum + bytes, 0) >= READ_AHEAD.bytes;
    while (full())
      await untilOne(
        lanes.map(({ changed }) => changed),
        stop,
      );
  }

  async #runLane(
    shardId: string,
    lane: Lane,
    state: ShardState,
    closed: AbortSignal,
    stop: AbortSignal,
  ): Promise<void> {
    const { batchSize = 100, batchWindowMs = 0 } = this.#options;
    for (;;) {
      stop.throwIfAborted();
      while (lane.count === 0) {
        if (closed.aborted) return;
        await untilOne([lane.changed], stop);
      }
      const until = this.#clock.now() + batchWindowMs;
      while (
        lane.count < batchSize &&
        lane.bytes < BATCH_BYTES &&
        !closed.aborted &&
        this.#clock.now() < until
      ) {
        const over = new AbortController();
        const wait = this.#clock.sleep(until - this.#clock.now(), AbortSignal.any([stop, over.signal]));
        await untilOne([lane.changed, wait.catch(() => {})], stop).finally(() => over.abort());
      }
      await this.#process(shardId, lane.take(batchSize, BATCH_BYTES), state, stop);
    }
  }

  /** Brings a batch to an end: processed, or given up. */
  async #process(
    shardId: string,
    records: readonly ShardRecord[],
    state: ShardState,
    stop: AbortSignal,
  ): Promise<void> {
    const attempts: Attempt[] = [{ records, retries: 0, invocations: 0 }];
    for (let attempt = attempts.shift(); attempt !== undefined; attempt = attempts.shift()) {
      const young = await this.#giveUpOld(shardId, attempt, state);
      if (young.records.length === 0) continue;
      if (young.records.length === 1 && (young.records[0] as ShardRecord).bytes > BATCH_BYTES) {
        await this.#discard(shardId, young, 'RetryAttemptsExhausted', true, state);
        continue;
      }
      attempts.unshift(...(await this.#try(shardId, young, state, stop)));
    }
  }

  /** Calls the function once; returns what is to be tried next. */
  async #try(
    shardId: string,
    attempt: Attempt,
    state: ShardState,
    stop: AbortSignal,
  ): Promise<readonly Attempt[]> {
    const { reportBatchItemFailures = false, bisectBatchOnFunctionError = false } = this.#options;
    const { records, retries } = attempt;
    let failedAt = 0;
    let functionError = false;
    try {
      const answer = await this.#options.invoke(eventOf(records));
      this.#count(records);
      const items = new Set(records.map(({ sequenceNumber }) => sequenceNumber));
      const verdict = reportBatchItemFailures
        ? readBatchResponse(answer, items)
        : ({ kind: 'success' } as const);
      if (verdict.kind === 'success') {
        state.progress.ended(records);
        return [];
      }
      if (verdict.kind === 'partial') {
        this.#counts.partialBatches += 1;
        const lowest = lowestSequenceNumber(verdict.failed);
        failedAt = records.findIndex(({ sequenceNumber }) => sequenceNumber === lowest);
      } else this.#counts.failedBatches += 1;
    } catch (error) {
      if (error instanceof ThrottledError) {
        this.#counts.throttles += 1;
        await this.#clock.sleep(THROTTLE_PAUSE_MS, stop);
        return [attempt];
      }
      this.#count(records);
      this.#counts.failedBatches += 1;
      functionError = true;
    }

    state.progress.ended(records.slice(0, failedAt));
    // Stopped in the middle of a try: it is not the records' fault, and they stay.
    stop.throwIfAborted();
    const left = { records: records.slice(failedAt), retries, invocations: attempt.invocations + 1 };
    if (bisectBatchOnFunctionError && (failedAt > 0 || records.length > 1)) {
      await this.#pause(retries + 1, stop);
      // Splitting takes nothing from the retries.
      return failedAt > 0 ? [left] : halves(left);
    }
    const { maximumRetryAttempts = -1 } = this.#options;
    if (maximumRetryAttempts >= 0 && retries >= maximumRetryAttempts) {
      await this.#discard(shardId, left, 'RetryAttemptsExhausted', functionError, state);
      return [];
    }
    await this.#pause(retries + 1, stop);
    return [{ ...left, retries: retries + 1 }];
  }

  #count(records: readonly ShardRecord[]): void {
    this.#counts.batches += 1;
    this.#counts.records += records.length;
  }

  /** Gives up the records at the start that are too old; returns the others. */
  async #giveUpOld(shardId: string, attempt: Attempt, state: ShardState): Promise<Attempt> {
    const { maximumRecordAgeMs = -1 } = this.#options;
    if (maximumRecordAgeMs < 0) return attempt;
    const horizon = this.#clock.now() - maximumRecordAgeMs;
    const firstYoung = attempt.records.findIndex(({ arrival }) => arrival > horizon);
    const old = firstYoung === -1 ? attempt.records : attempt.records.slice(0, firstYoung);
    if (old.length === 0) return attempt;
    await this.#discard(shardId, { ...attempt, records: old }, 'RecordAgeExceeded', false, state);
    return { ...attempt, records: attempt.records.slice(old.length) };
  }

  async #discard(
    shardId: string,
    { records, invocations }: Attempt,
    condition: DiscardedBatch['condition'],
    functionError: boolean,
    state: ShardState,
  ): Promise<void> {
    const { onFailure } = this.#options;
    if (onFailure !== undefined) {
      const discarded: DiscardedBatch = {
        mappingId: this.#mappingId,
        functionArn: this.#options.functionArn ?? 'arn:aws:lambda:us-east-1:000000000000:function:function',
        streamArn: this.#streamArn,
        shardId,
        condition,
        invokeCount: invocations,
        functionError,
        first: records[0] as ShardRecord,
        last: records.at(-1) as ShardRecord,
        records: records.length,
        event: eventOf(records),
        now: this.#clock.now(),
      };
      // Delivered even while the mapping stops: half a delivery would be a duplicate or a loss.
      await this.#ask(() => deliverDiscarded(onFailure, discarded), new AbortController().signal);
    }
    this.#counts.discarded += records.length;
    state.progress.ended(records);
  }

  async #pause(retry: number, stop: AbortSignal): Promise<void> {
    await this.#clock.sleep(backoffMs(this.#options.backoff ?? defaultBackoff, retry, 1), stop);
  }

  async #getRecords(iterator: string, stop: AbortSignal): Promise<GetRecordsOutput | 'expired'> {
    try {
      const command = new GetRecordsCommand({ ShardIterator: iterator });
      return await this.#ask(() => this.#options.kinesis.send(command, { abortSignal: stop }), stop);
    } catch (error) {
      if ((error as Error).name === 'ExpiredIteratorException') return 'expired';
      throw error;
    }
  }

  async #iterator(
    shardId: string,
    after: string | null,
    position: 'TRIM_HORIZON' | 'LATEST',
    stop: AbortSignal,
  ): Promise<string | undefined> {
    const place: Partial<GetShardIteratorInput> =
      after === null
        ? { ShardIteratorType: position }
        : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: after };
    const command = new GetShardIteratorCommand({
      StreamName: this.#options.streamName,
      ShardId: shardId,
      ShardIteratorType: position,
      ...place,
    });
    const { ShardIterator } = await this.#ask(() => this.#options.kinesis.send(command), stop);
    return ShardIterator;
  }

  async #listShards(stop: AbortSignal): Promise<readonly Shard[]> {
    const shards: Shard[] = [];
    let NextToken: string | undefined;
    do {
      const command = new ListShardsCommand(
        NextToken === undefined ? { StreamName: this.#options.streamName } : { NextToken },
      );
      const page = await this.#ask(() => this.#options.kinesis.send(command), stop);
      shards.push(...(page.Shards ?? []));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    return shards;
  }

  #ask<T>(call: () => Promise<T>, stop: AbortSignal): Promise<T> {
    return untilAnswered(call, this.#clock, stop);
  }

  #state(shardId: string): ShardState {
    const known = this.#shards.get(shardId);
    if (known !== undefined) return known;
    const state = { progress: new ShardProgress(), reads: 0, endSeenBy: -1, finished: false };
    this.#shards.set(shardId, state);
    return state;
  }

  #record(
    shardId: string,
    sequenceNumber: string,
    partitionKey: string,
    data: Uint8Array,
    arrival: number,
  ): ShardRecord {
    const event = {
      kinesis: {
        kinesisSchemaVersion: '1.0',
        partitionKey,
        sequenceNumber,
        data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
        approximateArrivalTimestamp: arrival / 1000,
      },
      eventSource: 'aws:kinesis',
      eventVersion: '1.0',
      eventID: `${shardId}:${sequenceNumber}`,
      eventName: 'aws:kinesis:record',
      invokeIdentityArn: 'arn:aws:iam::000000000000:role/function',
      awsRegion: this.#streamArn.split(':')[3] ?? '',
      eventSourceARN: this.#streamArn,
    };
    const bytes = Buffer.byteLength(JSON.stringify(event)) + 1;
    return { sequenceNumber, partitionKey, arrival, event, bytes };
  }
}

function eventOf(records: readonly ShardRecord[]): object {
  return { Records: records.map(({ event }) => event) };
}

function halves({ records, ...tried }: Attempt): readonly Attempt[] {
  const middle = Math.ceil(records.length / 2);
  return [
    { ...tried, records: records.slice(0, middle) },
    { ...tried, records: records.slice(middle) },
  ];
}

/** Resolves with the first of these; rejects when stopped. Leaves no listener behind. */
async function untilOne(events: readonly Promise<void>[], stop: AbortSignal): Promise<void> {
  stop.throwIfAborted();
  const stopped = Promise.withResolvers<never>();
  const abort = () => stopped.reject(stop.reason);
  stop.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([...events, stopped.promise]);
  } finally {
    stop.removeEventListener('abort', abort);
  }
}
