import {
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  type MessageAttributeValue,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { SystemClock } from '../../adapters/inmemory/clock.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import { readBatchResponse } from './batch-response.ts';
import { type InvokeFunction, MAX_PAYLOAD_BYTES, ThrottledError } from './function-call.ts';
import { untilAnswered } from './source-calls.ts';

export interface QueueMappingTwinOptions {
  readonly sqs: SQSClient;
  readonly queueUrl: string;
  readonly invoke: InvokeFunction;
  /** Messages in one batch, 1 to 10,000. Default 10. */
  readonly batchSize?: number;
  /** How long a batch is gathered, in milliseconds; AWS wants at least 1,000 for more than 10 messages. Default 0. */
  readonly batchWindowMs?: number;
  /** Batches in hand at once (AWS: 2 to 1,000). Default 2. */
  readonly maximumConcurrency?: number;
  /** `FunctionResponseTypes: ['ReportBatchItemFailures']`. Default `false`, as on AWS. */
  readonly reportBatchItemFailures?: boolean;
  /** Long poll of an empty queue, in seconds. Default 1. */
  readonly waitSeconds?: number;
  /** Default: the machine's time. */
  readonly clock?: Clock;
}

/** What a mapping has done so far. */
export interface QueueMappingCounts {
  readonly batches: number;
  /** Batches that failed as a whole. */
  readonly failedBatches: number;
  readonly messages: number;
  /** Messages deleted after they succeeded. */
  readonly deleted: number;
  /** Messages left to their visibility timeout. */
  readonly returned: number;
  readonly throttles: number;
}

/** How long the mapping waits before it calls a throttled function again, in milliseconds. */
const THROTTLE_PAUSE_MS = 100;

/** How often an entry of a deletion is tried that the queue rejects. */
const DELETE_TRIES = 10;

/** How often `idle` looks at the queue, in milliseconds. */
const IDLE_LOOK_MS = 50;

/**
 * Lambda's event source mapping for SQS, against any endpoint that speaks SQS: receives, batches, calls the function,
 * deletes what succeeded and leaves the rest to the queue's own visibility timeout and redrive policy.
 *
 * ```ts
 * const mapping = new QueueMappingTwin({ sqs, queueUrl, invoke, reportBatchItemFailures: true });
 * const stop = new AbortController();
 * const running = mapping.run(stop.signal);   // await it: rejects with what broke the mapping
 * await mapping.idle(signal);                 // the queue is empty, and nothing is in hand
 * stop.abort();
 * await running;                              // resolves when no batch is in hand any more
 * ```
 *
 * Where it differs from AWS: pollers do not scale up and down, neither with the backlog nor after errors; event filters and
 * FIFO queues are not known; `idle` believes the queue's approximate counts.
 */
export class QueueMappingTwin {
  readonly #options: QueueMappingTwinOptions;
  readonly #clock: Clock;
  readonly #counts: { -readonly [K in keyof QueueMappingCounts]: number } = {
    batches: 0,
    failedBatches: 0,
    messages: 0,
    deleted: 0,
    returned: 0,
    throttles: 0,
  };
  readonly #broken = new AbortController();
  #inHand = 0;

  constructor(options: QueueMappingTwinOptions) {
    this.#options = options;
    this.#clock = options.clock ?? new SystemClock();
  }

  get counts(): QueueMappingCounts {
    return { ...this.#counts };
  }

  /** Resolves after `signal` is aborted, when the batches in hand are through; rejects with what broke the mapping. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#broken.signal]);
    const pollers = Array.from({ length: this.#options.maximumConcurrency ?? 2 }, () => this.#poll(stop));
    await Promise.all(pollers);
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }

  /** Resolves when no message is in the queue, neither visible, hidden nor delayed. */
  async idle(signal: AbortSignal): Promise<void> {
    const watched = AbortSignal.any([signal, this.#broken.signal]);
    for (;;) {
      watched.throwIfAborted();
      const { messages } = await this.#queue(watched);
      if (messages === 0 && this.#inHand === 0) return;
      await this.#clock.sleep(IDLE_LOOK_MS, watched);
    }
  }

  async #poll(stop: AbortSignal): Promise<void> {
    try {
      const { arn, visibilityMs } = await this.#queue(stop);
      const gatherer = new Gatherer(this.#options, this.#clock, stop);
      for (;;) {
        const batch = await gatherer.next();
        this.#inHand += 1;
        try {
          await this.#process(batch, arn, visibilityMs, stop);
        } finally {
          this.#inHand -= 1;
        }
      }
    } catch (error) {
      if (!stop.aborted) this.#broken.abort(error);
    }
  }

  async #process(
    { messages, receivedAt }: GatheredBatch,
    arn: string,
    visibilityMs: number,
    stop: AbortSignal,
  ): Promise<void> {
    this.#counts.batches += 1;
    this.#counts.messages += messages.length;
    const event = { Records: messages.map((message) => queueRecord(message, arn)) };
    const succeeded = await this.#invoke(event, messages, receivedAt + visibilityMs, stop);
    this.#counts.returned += messages.length - succeeded.length;
    await this.#delete(succeeded);
  }

  /** The messages that the function is through with. */
  async #invoke(
    event: unknown,
    messages: readonly Message[],
    hiddenUntil: number,
    stop: AbortSignal,
  ): Promise<readonly Message[]> {
    for (;;) {
      try {
        const answer = await this.#options.invoke(event);
        if (this.#options.reportBatchItemFailures !== true) return messages;
        const verdict = readBatchResponse(answer, new Set(messages.map(({ MessageId = '' }) => MessageId)));
        if (verdict.kind === 'success') return messages;
        if (verdict.kind === 'partial')
          return messages.filter(({ MessageId = '' }) => !verdict.failed.includes(MessageId));
      } catch (error) {
        // Called again as long as nobody else is given the messages.
        if (error instanceof ThrottledError) {
          this.#counts.throttles += 1;
          if (this.#clock.now() + THROTTLE_PAUSE_MS < hiddenUntil && !stop.aborted) {
            await this.#clock.sleep(THROTTLE_PAUSE_MS, new AbortController().signal);
            continue;
          }
          return [];
        }
      }
      this.#counts.failedBatches += 1;
      return [];
    }
  }

  /** Deletions go through even while the mapping stops: the work is done. What cannot be deleted comes again. */
  async #delete(messages: readonly Message[]): Promise<void> {
    for (let at = 0; at < messages.length; at += 10) {
      let left = messages.slice(at, at + 10);
      for (let tries = 0; left.length > 0 && tries < DELETE_TRIES; tries += 1)
        left = await this.#deleteBatch(left);
    }
  }

  /** What is to be tried again. */
  async #deleteBatch(messages: readonly Message[]): Promise<Message[]> {
    const Entries = messages.map(({ ReceiptHandle }, at) => ({ Id: `${at}`, ReceiptHandle }));
    const command = new DeleteMessageBatchCommand({ QueueUrl: this.#options.queueUrl, Entries });
    const always = new AbortController().signal;
    const { Failed = [] } = await untilAnswered(() => this.#options.sqs.send(command), this.#clock, always);
    this.#counts.deleted += messages.length - Failed.length;
    return Failed.filter(({ SenderFault }) => SenderFault !== true).map(
      ({ Id }) => messages[Number(Id)] as Message,
    );
  }

  async #queue(signal: AbortSignal): Promise<{ arn: string; visibilityMs: number; messages: number }> {
    const command = new GetQueueAttributesCommand({
      QueueUrl: this.#options.queueUrl,
      AttributeNames: ['All'],
    });
    const { Attributes = {} } = await untilAnswered(
      () => this.#options.sqs.send(command, { abortSignal: signal }),
      this.#clock,
      signal,
    );
    return {
      arn: Attributes['QueueArn'] ?? '',
      visibilityMs: Number(Attributes['VisibilityTimeout'] ?? 30) * 1000,
      messages:
        Number(Attributes['ApproximateNumberOfMessages'] ?? 0) +
        Number(Attributes['ApproximateNumberOfMessagesNotVisible'] ?? 0) +
        Number(Attributes['ApproximateNumberOfMessagesDelayed'] ?? 0),
    };
  }
}

interface GatheredBatch {
  readonly messages: readonly Message[];
  /** When its oldest message was received, in milliseconds since 1970. */
  readonly receivedAt: number;
}

interface Gathered {
  readonly message: Message;
  readonly bytes: number;
  readonly receivedAt: number;
}

/** Receives messages and cuts them into batches by count, bytes and time. */
class Gatherer {
  readonly #options: QueueMappingTwinOptions;
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  /** Received, and too many bytes for the batch before. */
  #left: Gathered[] = [];

  constructor(options: QueueMappingTwinOptions, clock: Clock, stop: AbortSignal) {
    this.#options = options;
    this.#clock = clock;
    this.#stop = stop;
  }

  async next(): Promise<GatheredBatch> {
    const { batchSize = 10, batchWindowMs = 0 } = this.#options;
    while (this.#left.length === 0) this.#left.push(...(await this.#receive(Math.min(10, batchSize))));
    const until = (this.#left[0] as Gathered).receivedAt + batchWindowMs;
    while (this.#count() === this.#left.length && this.#left.length < batchSize && this.#clock.now() < until)
      this.#left.push(...(await this.#receive(Math.min(10, batchSize - this.#left.length))));
    const batch = this.#left.splice(0, this.#count());
    return {
      messages: batch.map(({ message }) => message),
      receivedAt: Math.min(...batch.map(({ receivedAt }) => receivedAt)),
    };
  }

  /** How many of the messages fit into one event. */
  #count(): number {
    let bytes = 0;
    const over = this.#left.findIndex((gathered) => (bytes += gathered.bytes) > MAX_PAYLOAD_BYTES - 1024);
    return over === -1 ? this.#left.length : Math.max(1, over);
  }

  async #receive(count: number): Promise<readonly Gathered[]> {
    this.#stop.throwIfAborted();
    const command = new ReceiveMessageCommand({
      QueueUrl: this.#options.queueUrl,
      MaxNumberOfMessages: count,
      WaitTimeSeconds: this.#options.waitSeconds ?? 1,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    });
    const { Messages = [] } = await untilAnswered(
      () => this.#options.sqs.send(command, { abortSignal: this.#stop }),
      this.#clock,
      this.#stop,
    );
    const receivedAt = this.#clock.now();
    return Messages.map((message) => ({
      message,
      bytes: Buffer.byteLength(JSON.stringify(queueRecord(message, ''))) + 200,
      receivedAt,
    }));
  }
}

/** A message as it stands in an event. */
function queueRecord(message: Message, arn: string): object {
  return {
    messageId: message.MessageId,
    receiptHandle: message.ReceiptHandle,
    body: message.Body ?? '',
    attributes: message.Attributes ?? {},
    messageAttributes: Object.fromEntries(
      Object.entries(message.MessageAttributes ?? {}).map(([name, value]) => [name, attributeValue(value)]),
    ),
    md5OfBody: message.MD5OfBody,
    eventSource: 'aws:sqs',
    eventSourceARN: arn,
    awsRegion: arn.split(':')[3] ?? '',
  };
}

function attributeValue({ StringValue, BinaryValue, DataType }: MessageAttributeValue): object {
  return {
    ...(StringValue === undefined ? {} : { stringValue: StringValue }),
    ...(BinaryValue === undefined ? {} : { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
    stringListValues: [],
    binaryListValues: [],
    dataType: DataType,
  };
}
