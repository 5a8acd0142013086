import type { Failure } from '../../domain/failure.ts';
import { DomainError, isDomainError, messageOf } from '../../domain/errors.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import { controlPartition, dealtPartition, partitionOfKey } from '../../domain/partition.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { KilledRow } from '../../domain/ports/killed-rows.ts';
import type { RowPosition } from '../../domain/position.ts';
import type { Row } from '../../domain/row.ts';
import type { SectionRecord } from '../../domain/section.ts';
import { ignoreRejection } from '../failures/ignore-rejection.ts';
import { failureOf } from '../failures/describe-failure.ts';
import { keepingOf, type Keeping } from '../failures/kept-payload.ts';
import type { RowFault, SectionEnd } from '../formats/decoder.ts';
import { digestOf, encodeBody, type FrameDraft } from '../frames/frame-codec.ts';
import type { EncodedMessage, MessageEncoding, MessagesBodyWriter } from '../frames/message-encoding.ts';

export interface SectionWriterOptions {
  readonly pipeline: AnyPipeline;
  readonly generation: string;
  readonly build: string;
  readonly run: string;
  readonly object: LakeObject;
  readonly epoch: number;
  readonly section: number;
  readonly encoding: MessageEncoding;
  readonly transformRow: (row: Row) => readonly unknown[];
  /** Verdicts on rows of the section, by coordinate. */
  readonly killed: ReadonlyMap<number, KilledRow>;
}

/** What a failure weighs when frames of failures are cut, beside its payload: its texts must not decide where a frame ends. */
const FAILURE_BYTES = 4096;

/**
 * Turns the rows of one section into frames. The frames follow from the rows, the generation and the verdicts on rows alone: the
 * same section read again gives the same frames with the same numbers. Each says how far the rows had been read when it was
 * cut, and which of them a verdict kept from `transform`.
 */
export class SectionWriter {
  readonly #options: SectionWriterOptions;
  /** By partition; with frames dealt round there is one, under 0, and its partition is chosen when it is cut. */
  readonly #open = new Map<number, MessagesBodyWriter>();
  readonly #control: number;
  readonly #keeping: Keeping;
  readonly #framesByPartition = new Map<number, number>();
  #cut: FrameDraft[] = [];
  #dealt = 0;
  #failures: Failure[] = [];
  #failureBytes = 0;
  #reach: number | null = 0;
  readonly #killed: number[] = [];
  #pruned = 0;
  #filtered = 0;
  #failed = 0;
  #transformed = 0;
  #messages = 0;

  constructor(options: SectionWriterOptions) {
    this.#options = options;
    this.#keeping = keepingOf(options.pipeline);
    this.#control = controlPartition(options.object, options.section, options.pipeline.partitions);
  }

  /** Transforms a row and adds what it gives: all its messages, or its failure. One with a verdict is not transformed. */
  addRow(row: Row, coordinate: number): void {
    this.#reach = coordinate;
    try {
      this.#refuseKilled(coordinate);
      const messages = this.#options.transformRow(row);
      if (messages.length === 1)
        this.#addMessage(this.#encode(messages[0]), this.#partitionOf(messages[0]), coordinate, 0);
      else if (messages.length > 1) this.#addMessages(messages, coordinate);
      this.#messages += messages.length;
      this.#transformed++;
    } catch (thrown) {
      this.#addFailure(
        failureOf(
          this.#options.generation,
          this.#positionOf(coordinate),
          'transform',
          thrown,
          'E_TRANSFORM',
          this.#keeping.row(row),
          1,
        ),
      );
    }
  }

  addFault(fault: RowFault): void {
    this.#reach = fault.coordinate;
    const error = new DomainError(fault.message, { code: fault.code });
    const payload = fault.rows === 1 ? this.#keeping.raw(fault.raw) : null;
    this.#addFailure(
      failureOf(
        this.#options.generation,
        this.#positionOf(fault.coordinate),
        'read',
        error,
        fault.code,
        payload,
        fault.rows,
      ),
    );
  }

  addSkipped(pruned: number, filtered: number): void {
    this.#pruned += pruned;
    this.#filtered += filtered;
  }

  /** The frames that are full. */
  drain(): readonly FrameDraft[] {
    const frames = this.#cut;
    this.#cut = [];
    return frames;
  }

  /** Cuts what is left. Nothing can be added any more. */
  finish(end: SectionEnd): { frames: readonly FrameDraft[]; record: SectionRecord; recordFrame: FrameDraft } {
    this.#reach = null;
    for (const partition of [...this.#open.keys()].sort((a, b) => a - b)) this.#cutMessages(partition);
    this.#cutFailures();
    const frames = this.drain();
    const record: SectionRecord = {
      section: this.#options.section,
      last: end.last,
      next: end.next,
      rows: this.#pruned + this.#filtered + this.#failed + this.#transformed,
      pruned: this.#pruned,
      filtered: this.#filtered,
      failed: this.#failed,
      transformed: this.#transformed,
      messages: this.#messages,
      frames: [...this.#framesByPartition].sort(([a], [b]) => a - b),
    };
    // The record counts frames and is none itself: its number stands after all of them.
    const number = this.#framesByPartition.get(this.#control) ?? 0;
    const { bytes, digest } = encodeBody({ kind: 'section', record }, this.#options.pipeline.frames);
    return { frames, record, recordFrame: this.#draft('section', this.#control, number, bytes, digest) };
  }

  #refuseKilled(coordinate: number): void {
    const verdict = this.#options.killed.get(coordinate);
    if (verdict === undefined) return;
    this.#killed.push(coordinate);
    throw new DomainError(verdict.message, { code: 'E_KILLED' });
  }

  #addMessages(messages: readonly unknown[], coordinate: number): void {
    // All of a row's messages are encoded before the first is added: a row that fails leaves nothing behind.
    const ready = messages.map((message) => ({
      encoded: this.#encode(message),
      partition: this.#partitionOf(message),
    }));
    for (const [output, { encoded, partition }] of ready.entries())
      this.#addMessage(encoded, partition, coordinate, output);
  }

  #encode(message: unknown): EncodedMessage {
    const { encoding, pipeline } = this.#options;
    const encoded = encoding.encode(message);
    const { maxMessageBytes } = pipeline.limits;
    // Text may have three times the bytes that it counts for.
    if (3 * encoded.size > maxMessageBytes) {
      const bytes = encoding.measure(encoded);
      if (bytes > maxMessageBytes)
        throw new DomainError(`a message has ${bytes} bytes, the limit is ${maxMessageBytes}`, {
          code: 'E_MESSAGE_TOO_LARGE',
        });
    }
    return encoded;
  }

  #partitionOf(message: unknown): number {
    const { partitionBy, partitions } = this.#options.pipeline;
    if (partitionBy === undefined) return 0;
    let key: unknown;
    try {
      key = partitionBy(message);
    } catch (thrown) {
      if (isDomainError(thrown)) throw thrown;
      throw new DomainError(`partitionBy threw: ${messageOf(thrown)}`, {
        code: 'E_PARTITION',
        cause: thrown,
      });
    }
    if (ignoreRejection(key)) throw new DomainError('partitionBy gave a promise', { code: 'E_PARTITION' });
    return partitionOfKey(key, partitions);
  }

  #addMessage(message: EncodedMessage, partition: number, coordinate: number, output: number): void {
    const { maxFrameBytes, maxFrameMessages } = this.#options.pipeline.limits;
    let body = this.#open.get(partition);
    if (body !== undefined && (body.count >= maxFrameMessages || body.size + message.size > maxFrameBytes)) {
      this.#cutMessages(partition);
      body = undefined;
    }
    if (body === undefined) {
      body = this.#options.encoding.startBody();
      this.#open.set(partition, body);
    }
    body.add(message, coordinate, output);
  }

  #cutMessages(key: number): void {
    const body = this.#open.get(key);
    if (body === undefined) return;
    this.#open.delete(key);
    const { pipeline, object, section } = this.#options;
    const partition =
      pipeline.partitionBy === undefined
        ? dealtPartition(object, section, this.#dealt++, pipeline.partitions)
        : key;
    const bytes = body.finish();
    this.#cut.push(this.#draft('messages', partition, this.#nextNumber(partition), bytes, digestOf(bytes)));
  }

  #addFailure(failure: Failure): void {
    this.#failed += failure.rows;
    this.#failures.push(failure);
    this.#failureBytes += FAILURE_BYTES + (failure.payload?.length ?? 0);
    if (this.#failureBytes >= this.#options.pipeline.limits.maxFrameBytes) this.#cutFailures();
  }

  #cutFailures(): void {
    if (this.#failures.length === 0) return;
    const { bytes, digest } = encodeBody(
      { kind: 'failures', failures: this.#failures },
      this.#options.pipeline.frames,
    );
    this.#cut.push(this.#draft('failures', this.#control, this.#nextNumber(this.#control), bytes, digest));
    this.#failures = [];
    this.#failureBytes = 0;
  }

  #nextNumber(partition: number): number {
    const number = this.#framesByPartition.get(partition) ?? 0;
    this.#framesByPartition.set(partition, number + 1);
    return number;
  }

  #draft(
    body: FrameDraft['body'],
    partition: number,
    number: number,
    bytes: Uint8Array,
    digest: string,
  ): FrameDraft {
    const { generation, build, run, object, section, epoch, pipeline } = this.#options;
    const origin = {
      kind: 'section',
      object,
      section,
      number,
      epoch,
      reach: this.#reach,
      ...(this.#killed.length === 0 ? {} : { killed: [...this.#killed] }),
    } as const;
    return { generation, build, run, origin, partition, body, codec: pipeline.frames, bytes, digest };
  }

  #positionOf(coordinate: number): RowPosition {
    return { kind: 'row', object: this.#options.object, coordinate, output: null };
  }
}
